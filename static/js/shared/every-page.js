// What each page has: htmx with morphing, and what is the same wherever one is.

import "idiomorph/htmx";
import "./polling.js";
import "./request-error.js";
import "./form-errors.js";
import "./send-once.js";
import "./copy-and-share.js";
import "./photo-keys.js";
import "./lines-in-sight.js";
import "./arrivals.js";
import "../offline/registration.js";
