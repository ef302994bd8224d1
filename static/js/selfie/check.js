// Asks the server what it thinks of a picture before it is sent: a worker looks for a face, and nothing is kept.
import { glance, named } from "./picture.js";

const PAUSES_MS = [1000, 2000, 4000];

/** The verdict on one picture after the other; a later picture makes the answer about an earlier one void. */
export class Check {
  /** `form` has the token that the server asks for; `address` answers {valid, detail}. */
  constructor(address, form) {
    this.address = address;
    this.form = form;
    this.asking = null;
  }

  stop() {
    this.asking?.abort();
    this.asking = null;
  }

  /** {valid: true, false or null, detail}; null where nothing is known: no connection, a busy server, or a newer picture. */
  async ask(blob, angle) {
    this.stop();
    const asking = new AbortController();
    this.asking = asking;
    try {
      const picture = await glance(blob);
      if (!picture || asking.signal.aborted) return null;
      let said = await this.send(picture, angle, asking.signal);
      for (const pause of PAUSES_MS) {
        if (said?.valid !== null) break;
        await new Promise((resolve) => {
          setTimeout(resolve, pause);
        });
        if (asking.signal.aborted) return null;
        said = await this.send(picture, angle, asking.signal);
      }
      return said;
    } catch {
      return null;
    }
  }

  async send(picture, angle, signal) {
    const body = new FormData();
    body.append("csrf_token", this.form.elements.csrf_token.value);
    body.append("file", named(picture));
    if (angle) body.append("angle", angle);
    const answer = await fetch(this.address, { method: "POST", body, signal });
    return answer.ok ? answer.json() : null;
  }
}
