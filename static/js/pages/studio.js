// Pages of photographers and admins.

import "../studio/event-fields.js";
import "../shared/every-page.js";
