// Draws the upload page from its batch. Everything is text set by name; the markup stands in the template.

const KINDS = ["lonely", "raw", "heic", "video", "sidecar", "system", "other"];
const ROWS = 2000;
const FEW = 20;

export class View {
  constructor(root, sender) {
    this.root = root;
    this.sender = sender;
    this.rows = new Map();
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.noConnection = { title: this.part("offline-title").textContent, why: this.part("offline-why").textContent };
    this.on("pause", () => sender.togglePause());
    this.on("cancel", () => sender.cancel());
    this.on("forget", () => sender.forget());
    this.on("check", () => sender.session.check());
    this.on("retry-failed", () => sender.retry(sender.batch.inState("failed")));
    this.on("retry-refused", () => sender.retry(sender.batch.inState("rejected")));
    this.part("every").addEventListener("toggle", () => this.everyFile());
  }

  on(name, act) {
    this.part(name).addEventListener("click", act);
  }

  say(key, values) {
    return this.sender.words.say(key, values);
  }

  /** Many events make one drawing. */
  draw() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.now();
    }, 120);
  }

  now() {
    const { batch, state } = this.sender;
    const running = batch.isRunning;
    this.root.classList.toggle("is-busy", batch.size > 0);
    this.part("sending").hidden = !running;
    this.part("summary").hidden = running || !(batch.size || state.dropped);
    this.part("signed-out").hidden = !state.lost;
    this.part("offline").hidden = !running || state.lost || state.paused || !(state.offline || state.away);
    const why = state.offline ? "" : state.why;
    this.write("offline-title", why ? this.say("state_waiting") : this.noConnection.title);
    this.write("offline-why", why || this.noConnection.why);
    this.write("pause-label", this.say(state.paused ? "resume" : "pause"));
    this.part("pause").classList.toggle("is-paused", state.paused);
    this.figures();
    this.current();
    this.everyFile();
  }

  write(name, text) {
    const part = this.part(name);
    if (part.textContent !== text) part.textContent = text;
  }

  figures() {
    const { batch, state, words } = this.sender;
    if (!batch.isRunning) return;
    const share = batch.bytes.total ? (batch.bytes.sent / batch.bytes.total) * 100 : 0;
    this.part("bar").value = share;
    this.write("headline", this.say("progress", { done: batch.finished, total: batch.size, count: batch.size }));
    this.write(
      "volume",
      this.say("volume", { sent: words.size(batch.bytes.sent), total: words.size(batch.bytes.total) }),
    );
    this.write("pace", this.pace(batch.speed(Date.now()), batch, state));
    this.write("sums", this.sums().join(" · "));
  }

  pace(speed, batch, state) {
    if (state.paused) return this.say("paused");
    if (!speed || state.offline || state.lost || state.away) return "";
    const { words } = this.sender;
    const left = words.left((batch.bytes.total - batch.bytes.sent) / speed);
    return this.say("pace", { speed: words.size(speed), left });
  }

  sums() {
    const { counts } = this.sender.batch;
    return ["accepted", "duplicate", "rejected", "failed", "checking"]
      .filter((state) => counts[state])
      .map((state) => this.say(state, { count: counts[state] }));
  }

  /** The files that are on their way just now, each with its bar. */
  current() {
    const list = this.part("current");
    const sending = this.sender.batch.inState("sending");
    const wanted = new Set(sending.map((item) => item.id));
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    for (const item of sending) {
      const row = this.rows.get(item.id) ?? this.newRow(item, list);
      row.querySelector("progress").value = item.size ? (item.sent / item.size) * 100 : 0;
    }
  }

  newRow(item, list) {
    const row = this.part("row").content.firstElementChild.cloneNode(true);
    row.querySelector(".name").textContent = item.name;
    row.querySelector("progress").setAttribute("aria-label", item.name);
    list.append(row);
    this.rows.set(item.id, row);
    return row;
  }

  /** The whole account, drawn only while somebody looks at it. */
  everyFile() {
    const box = this.part("every");
    const { batch } = this.sender;
    box.hidden = !batch.size;
    this.write("every-label", this.say("every", { count: batch.size }));
    if (!box.open) return;
    const list = this.part("every-list");
    const items = [...batch.items.values()].slice(0, ROWS);
    while (list.children.length > items.length) list.lastElementChild.remove();
    while (list.children.length < items.length)
      list.append(this.part("every-row").content.firstElementChild.cloneNode(true));
    items.forEach((item, index) => {
      const row = list.children[index];
      const word = this.say(`state_${item.state}`);
      if (row.dataset.state === item.state && row.firstElementChild.textContent === item.name) return;
      row.dataset.state = item.state;
      row.firstElementChild.textContent = item.name;
      row.lastElementChild.textContent = item.detail ? `${word}: ${item.detail}` : word;
    });
  }

  /** What was set aside, in one line that opens to the names; a few RAW files without a JPEG are named at once. */
  chosen() {
    const groups = this.sender.aside.grouped(this.sender.pairs);
    const kinds = KINDS.filter((kind) => groups[kind]);
    this.part("aside").hidden = !kinds.length;
    if (groups.lonely && groups.lonely.length <= FEW) this.part("aside").open = true;
    this.write(
      "aside-line",
      kinds.map((kind) => this.say(`aside_${kind}`, { count: groups[kind].length })).join(" · "),
    );
    this.part("aside-names").replaceChildren(
      ...kinds.flatMap((kind) => this.names(this.say(`aside_${kind}`, { count: groups[kind].length }), groups[kind])),
    );
    this.write("announce", this.say("chosen", { count: this.sender.batch.size }));
    this.draw();
  }

  names(title, names) {
    const head = document.createElement("h3");
    head.textContent = title;
    const list = document.createElement("p");
    list.textContent = names.join(", ");
    return [head, list];
  }

  recall(names) {
    this.part("unfinished").hidden = !names.length;
    if (!names.length) return;
    this.write("unfinished-line", this.say("unfinished", { count: names.length }));
    this.write("unfinished-names", names.slice(0, ROWS).join(", "));
  }

  /** The truthful end: sums, and what was refused by its reason. */
  ended() {
    const { batch, state } = this.sender;
    const { counts } = batch;
    const parts = this.sums();
    if (state.dropped) parts.push(this.say("stopped", { count: state.dropped }));
    const clean = !counts.rejected && !counts.failed && !state.dropped;
    this.write("result", this.say(clean ? "all_in" : "done"));
    this.write("result-sums", parts.join(" · "));
    const reasons = new Map();
    for (const item of batch.inState("rejected")) {
      const reason = item.detail || this.say("refused_unknown");
      reasons.set(reason, [...(reasons.get(reason) ?? []), item.name]);
    }
    this.part("refused").hidden = !reasons.size;
    this.part("refused-list").replaceChildren(...[...reasons].flatMap(([reason, names]) => this.names(reason, names)));
    const failed = batch.inState("failed");
    this.part("failed").hidden = !counts.failed;
    this.part("failed-gone").hidden = !failed.some((item) => item.gone);
    this.write("failed-names", failed.map((item) => item.name).join(", "));
    if (!counts.checking) this.write("announce", [this.part("result").textContent, ...parts].join(" "));
    this.now();
  }
}
