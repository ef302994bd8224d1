// The upload page.

import "../upload/sender.js";
import "../shared/every-page.js";
