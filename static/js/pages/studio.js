// Pages of photographers and admins.

import "../studio/new-event.js";
import "../shared/every-page.js";
