// What an answer's headers say of a file.

import assert from "node:assert/strict";
import { test } from "node:test";
import { verdictOf } from "../../../static/js/upload/answers.js";

const request = (headers) => ({ getResponseHeader: (name) => headers[name] ?? null });

test("an answer says what became of the file and why", () => {
  const detail = "C'est déjà là : 100 %.";
  const headers = {
    "FindMe-Status": "rejected",
    "FindMe-Reason": "too_large",
    "FindMe-Detail": encodeURIComponent(detail),
  };
  assert.deepEqual(verdictOf(request(headers)), { status: "rejected", reason: "too_large", detail });
});

test("an answer of a proxy, or none, says nothing", () => {
  const nothing = { status: "", reason: "", detail: "" };
  assert.deepEqual(verdictOf(request({})), nothing);
  assert.deepEqual(verdictOf(undefined), nothing);
  assert.deepEqual(verdictOf({}), nothing);
});
