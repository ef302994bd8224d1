// Remembers in this browser what became of each file of an unfinished selection. After a reload the page says what is
// still missing, and of the same folder, chosen again, only that is sent. It forgets once nothing is missing.

const STORE = "files";

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export class Journal {
  constructor(event) {
    this.event = event;
    this.changed = new Map();
    this.timer = null;
    this.base = null;
  }

  /** Everything that is remembered of this event: file id → {name, state, detail, s3}. Empty where nothing can be kept. */
  async open() {
    try {
      const request = indexedDB.open("findme-uploads", 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE);
      this.base = await settled(request);
      const store = this.base.transaction(STORE).objectStore(STORE);
      const [keys, values] = await Promise.all([
        settled(store.getAllKeys(this.range())),
        settled(store.getAll(this.range())),
      ]);
      return new Map(keys.map((key, index) => [key[1], values[index]]));
    } catch {
      return new Map();
    }
  }

  range() {
    return IDBKeyRange.bound([this.event], [this.event, []]);
  }

  /** Note a file's state; many notes of files that wait make one write, what became of one is written at once. */
  note(id, entry) {
    this.changed.set(id, entry);
    if (entry.state !== "waiting") this.write();
    else this.timer ??= setTimeout(() => this.write(), 300);
  }

  write() {
    clearTimeout(this.timer);
    this.timer = null;
    if (!this.base || !this.changed.size) return;
    const transaction = this.base.transaction(STORE, "readwrite");
    const store = transaction.objectStore(STORE);
    for (const [id, entry] of this.changed) store.put(entry, [this.event, id]);
    // Without waiting for the answers: this page may be on its way out.
    transaction.commit();
    this.changed.clear();
  }

  forget() {
    clearTimeout(this.timer);
    this.timer = null;
    this.changed.clear();
    if (this.base) this.base.transaction(STORE, "readwrite").objectStore(STORE).delete(this.range());
  }
}
