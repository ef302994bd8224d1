// Which e-mail address was probably meant by one that seems mistyped. Only slips in well-known domains are found.

// biome-ignore format: names read best side by side.
const USUAL = [
  "gmail.com", "orange.fr", "free.fr", "laposte.net", "wanadoo.fr", "sfr.fr", "hotmail.fr", "hotmail.com", "outlook.fr",
  "outlook.com", "yahoo.fr", "yahoo.com", "icloud.com", "live.fr", "live.com", "neuf.fr", "bbox.fr", "numericable.fr",
  "aliceadsl.fr", "club-internet.fr", "googlemail.com", "hotmail.co.uk", "yahoo.co.uk", "btinternet.com", "bluewin.ch",
  "proton.me", "protonmail.com", "gmx.com", "gmx.net", "web.de", "t-online.de", "skynet.be", "telenet.be", "msn.com",
];

/** Real ones that look like others: nothing is asked about them. */
// biome-ignore format: names read best side by side.
const RIGHT = new Set([
  ...USUAL, "mail.com", "email.com", "ymail.com", "gmx.fr", "gmx.de", "gmx.ch", "gmx.at", "me.com", "mac.com", "aol.com",
  "hotmail.de", "hotmail.be", "hotmail.it", "hotmail.es", "hotmail.ch", "outlook.de", "outlook.be", "outlook.it",
  "outlook.es", "yahoo.de", "yahoo.it", "yahoo.es", "yahoo.be", "yahoo.ca", "live.be", "live.nl", "live.de", "live.co.uk",
  "live.ca", "live.it", "free.com", "orange.com", "orange.es", "orange.be", "sfr.com", "web.com", "pm.me", "mail.fr",
  "mail.ru", "mail.de", "freenet.de", "fr.fr", "rocketmail.com",
]);

/** Ends that one service does not have, too far from the right one to be found as a slip. */
const NO_SUCH = {
  "gmail.fr": "gmail.com",
  "gmail.de": "gmail.com",
  "gmail.be": "gmail.com",
  "gmail.ch": "gmail.com",
  "icloud.fr": "icloud.com",
};

/** Letters to add, drop, change or swap with their neighbour, to make one word of the other. */
function slips(a, b) {
  const rows = [Array.from({ length: b.length + 1 }, (_, n) => n)];
  for (let i = 1; i <= a.length; i += 1) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.length][b.length];
}

function likelyDomain(domain) {
  if (RIGHT.has(domain) || domain.length < 3 || domain.length > 24) return null;
  if (Object.hasOwn(NO_SUCH, domain)) return NO_SUCH[domain];
  if (!domain.includes(".")) {
    const whole = USUAL.find((usual) => usual.split(".")[0] === domain);
    if (whole) return whole;
  }
  let [best, fewest] = [null, Infinity];
  for (const usual of USUAL) {
    const count = slips(domain, usual);
    // Two slips in a short name make another name of it.
    if (count <= (usual.length < 9 ? 1 : 2) && count < fewest) [best, fewest] = [usual, count];
  }
  return best;
}

/** The address that was probably meant; null where there is nothing to ask. */
export function suggestion(address) {
  const [name, domain, ...more] = address.trim().split("@");
  if (!name || !domain || more.length) return null;
  const likely = likelyDomain(domain.toLowerCase().replace(/[.,]+$/, ""));
  return likely && likely !== domain.toLowerCase() ? `${name}@${likely}` : null;
}
