// Sentences of the upload page in the page's language: they stand in it as JSON, with a form for one and one for many.

export class Words {
  constructor(sentences, language) {
    this.sentences = sentences;
    this.plural = new Intl.PluralRules(language);
    this.number = new Intl.NumberFormat(language);
    this.decimal = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  }

  /** A sentence with its values; `count` also chooses between one and many. */
  say(key, values = {}) {
    let sentence = this.sentences[key];
    if (Array.isArray(sentence)) sentence = sentence[this.plural.select(values.count) === "one" ? 0 : 1];
    return sentence.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values[name];
      return typeof value === "number" ? this.number.format(value) : value;
    });
  }

  size(bytes) {
    if (bytes >= 1e9) return this.say("gigabytes", { size: this.decimal.format(bytes / 1e9) });
    return this.say("megabytes", { size: this.decimal.format(bytes / 1e6) });
  }

  /** About how long, as people say it. */
  left(seconds) {
    if (seconds < 50) return this.say("left_soon");
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return this.say("left_minutes", { count: Math.max(1, minutes) });
    return this.say("left_hours", {
      hours: this.number.format(Math.floor(minutes / 60)),
      minutes: this.number.format(minutes % 60),
    });
  }
}
