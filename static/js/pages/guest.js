// Pages of guests, accounts, and whatever has no script of its own.

// What is waited for comes first.
import "../selfie/join.js";
import "../selfie/field.js";
import "../selfie/in-app.js";
import "../shared/address-hint.js";
import "../shared/every-page.js";
