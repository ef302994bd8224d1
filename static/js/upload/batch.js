// The account of everything that was chosen: each file has one state, and the sums always add up.

/** All bytes are over there; what is being checked may still turn out to be a duplicate, or no picture. */
const FINAL = new Set(["accepted", "duplicate", "rejected", "checking"]);

export class Batch {
  constructor() {
    this.items = new Map();
    this.bytes = { total: 0, sent: 0 };
    this.counts = { waiting: 0, sending: 0, accepted: 0, duplicate: 0, rejected: 0, failed: 0, checking: 0 };
    this.samples = [];
  }

  get size() {
    return this.items.size;
  }

  get isRunning() {
    return this.counts.waiting + this.counts.sending > 0;
  }

  get finished() {
    return this.size - this.counts.waiting - this.counts.sending;
  }

  /** A file anew, or one that has been dealt with before a reload. */
  add(id, name, size, state = "waiting", detail = "") {
    const item = { id, name, size, sent: FINAL.has(state) ? size : 0, state, detail };
    this.items.set(id, item);
    this.counts[state] += 1;
    this.bytes.total += size;
    this.bytes.sent += item.sent;
    return item;
  }

  move(id, state, detail = "") {
    const item = this.items.get(id);
    if (!item) return null;
    this.counts[item.state] -= 1;
    this.counts[state] += 1;
    Object.assign(item, { state, detail });
    if (state !== "sending") this.progress(item, FINAL.has(state) ? item.size : 0);
    return item;
  }

  /** `sent` bytes of it are over there. What was there before it began is no speed. */
  progress(item, sent) {
    this.bytes.sent += sent - item.sent;
    item.sent = sent;
  }

  dropUnsent() {
    let dropped = 0;
    for (const [id, item] of this.items) {
      if (item.state !== "waiting" && item.state !== "sending") continue;
      this.counts[item.state] -= 1;
      this.bytes.total -= item.size;
      this.bytes.sent -= item.sent;
      this.items.delete(id);
      dropped += 1;
    }
    return dropped;
  }

  inState(state) {
    return [...this.items.values()].filter((item) => item.state === state);
  }

  /** Bytes a second over the last ten, for a speed that doesn't jump; 0 while too little is known. */
  speed(now) {
    this.samples.push([now, this.bytes.sent]);
    while (this.samples.length > 2 && now - this.samples[0][0] > 10_000) this.samples.shift();
    const [since, before] = this.samples[0];
    return now - since > 1500 ? Math.max(0, (this.bytes.sent - before) / ((now - since) / 1000)) : 0;
  }

  rest() {
    this.samples = [];
  }
}
