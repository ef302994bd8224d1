// The overview of one event, with its charts.

import "../studio/charts.js";
import "../shared/every-page.js";
