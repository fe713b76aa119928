/**
 * Output of somebody else's session on one's own terminal. Whoever is watched may know it: their output must
 * neither write to the watcher's clipboard, nor make the terminal type an answer into the watcher's shell.
 */

const MAX_PARAMETER_CHARS = 256;

type State = "text" | "escape" | "escape-rest" | "csi" | "string" | "string-escape";

/**
 * Final bytes of control sequences that make a terminal answer, or act on its window: device attributes (c),
 * reports (n), window (t), parameters (x), REQTPARM and the like. `p` and `q` ask where they have `$` or `>`.
 */
const ANSWERED = new Set(["c", "n", "t", "x", "u", "y"]);

/**
 * Takes out what acts on anything but the screen: OSC, DCS, APC, PM and SOS strings, and control sequences
 * that a terminal answers. Colours, the cursor and the screen's modes pass. It keeps its state between pieces.
 */
export class HarmlessOutput {
  #state: State = "text";
  #sequence = "";

  /** @returns what may be written */
  push(text: string): string {
    let shown = "";
    for (const character of text) shown += this.#next(character);
    return shown;
  }

  #next(character: string): string {
    switch (this.#state) {
      case "text":
        return this.#text(character);
      case "escape":
        return this.#escape(character);
      case "escape-rest":
        // The charset of a designation, such as ESC ( B.
        this.#state = "text";
        return this.#isControl(character) ? "" : `${this.#sequence}${character}`;
      case "csi":
        return this.#csi(character);
      case "string":
        if (character === "\u001b") this.#state = "string-escape";
        else if (character === "\u0007" || character === "\u009c") this.#state = "text";
        return "";
      case "string-escape":
        this.#state = character === "\\" ? "text" : "string";
        return character === "\\" ? "" : this.#restart(character);
    }
  }

  /** ESC cancels a string whatever follows, so that a sequence may begin here. */
  #restart(character: string): string {
    this.#state = "escape";
    return this.#escape(character);
  }

  #text(character: string): string {
    if (character === "\u001b") {
      this.#state = "escape";
      return "";
    }
    const code = character.charCodeAt(0);
    // C1 controls, as one character each.
    if (code === 0x9b) return this.#begin("csi", "\u001b[");
    if (code === 0x90 || code === 0x98 || (code >= 0x9d && code <= 0x9f)) return this.#begin("string", "");
    // ENQ makes some terminals answer.
    if (code === 0x05 || (code >= 0x80 && code < 0xa0)) return "";
    return character;
  }

  #escape(character: string): string {
    if (character === "\u001b") return "";
    if (character === "[") return this.#begin("csi", "\u001b[");
    if ("]PX^_".includes(character)) return this.#begin("string", "");
    if ("()*+-./ #%".includes(character)) return this.#begin("escape-rest", `\u001b${character}`);
    this.#state = "text";
    // DECID is an old way to ask for the device attributes.
    return character === "Z" || this.#isControl(character) ? "" : `\u001b${character}`;
  }

  #csi(character: string): string {
    if (character === "\u001b") return this.#begin("escape", "");
    if (this.#isControl(character)) return "";
    this.#sequence += character;
    if (character >= "@" && character <= "~") {
      this.#state = "text";
      return this.#isAnswered(character) ? "" : this.#sequence;
    }
    if (this.#sequence.length > MAX_PARAMETER_CHARS) this.#state = "text";
    return "";
  }

  #isAnswered(final: string): boolean {
    return ANSWERED.has(final) || ("pq".includes(final) && /[$>]/.test(this.#sequence));
  }

  #isControl(character: string): boolean {
    return character < " " || character === "\u007f";
  }

  #begin(state: State, sequence: string): string {
    this.#state = state;
    this.#sequence = sequence;
    return "";
  }
}
