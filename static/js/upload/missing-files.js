// Finds chosen files that can't be read any more. Their bytes stay on the card or drive until they are sent, so what
// broke off may be no fault of the connection: that a card was pulled out shows only when its files are read.

import { AT_ONCE } from "./patience.js";

const isReadable = (data) =>
  data
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );

/** Those of `items` whose file is gone, as [item, file]. It looks at a few, and at all once one of them is gone. */
export async function* missingAmong(items, fileOf) {
  let found = false;
  for (const [index, item] of items.entries()) {
    if (index >= 2 * AT_ONCE && !found) return;
    const file = fileOf(item);
    if (!file || (await isReadable(file.data))) continue;
    found = true;
    yield [item, file];
  }
}
