// Only slips in well-known domains are asked about.

import assert from "node:assert/strict";
import { test } from "node:test";
import { suggestion } from "../../../static/js/shared/mistyped-address.js";

const MEANT = {
  "ada@gmial.com": "ada@gmail.com",
  "Ada.L@GMAIL.CON": "Ada.L@gmail.com",
  " ada@gmail.co ": "ada@gmail.com",
  "ada@gmail": "ada@gmail.com",
  "ada@gmail.fr": "ada@gmail.com",
  "ada@gamil.con": "ada@gmail.com",
  "ada@hotmial.fr": "ada@hotmail.fr",
  "ada@ornage.fr": "ada@orange.fr",
  "ada@laposte.ner": "ada@laposte.net",
  "ada@wanado.fr": "ada@wanadoo.fr",
  "ada@fre.fr": "ada@free.fr",
  "ada@yaho.fr": "ada@yahoo.fr",
  "ada@iclould.com": "ada@icloud.com",
  "ada@outlok.fr": "ada@outlook.fr",
};

const RIGHT = [
  "ada@gmail.com",
  "ADA@GMAIL.COM",
  "ada@ymail.com",
  "ada@mail.com",
  "ada@gmx.fr",
  "ada@me.com",
  "ada@yahoo.de",
];
const UNKNOWN = [
  "ada@example.com",
  "ada@ens.fr",
  "ada@sncf.fr",
  "ada@constructor",
  "ada@__proto__",
  `ada@${"gmail".repeat(2000)}`,
];
const NO_ADDRESS = ["ada", "@gmial.com", "ada@b@gmial.com", ""];

for (const [typed, meant] of Object.entries(MEANT)) {
  test(`${typed} is asked about`, () => assert.equal(suggestion(typed), meant));
}

for (const typed of [...RIGHT, ...UNKNOWN, ...NO_ADDRESS]) {
  test(`${typed.slice(0, 20)} is not asked about`, () => assert.equal(suggestion(typed), null));
}
