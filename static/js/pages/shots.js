// The photographer's grid and the page of one photo.

import "../studio/shots.js";
import "../shared/every-page.js";
