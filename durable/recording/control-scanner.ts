/**
 * Finds the control sequences in output that do more than draw: they make the terminal of whoever plays the
 * recording type an answer, or reach its clipboard, files, printer or window.
 *
 * Sources: ECMA-48; XTerm Control Sequences (invisible-island.net/xterm/ctlseqs); the protocols of kitty and
 * iTerm2. Where terminals differ, it takes what any of them would act on. It reads what the cast shows, so a
 * C1 control is one in UTF-8 only: its single byte is not valid UTF-8 and becomes U+FFFD.
 *
 * The state has a fixed size, and each byte is one step, however long a sequence is.
 */

/**
 * `CSI` and then a private prefix, an intermediate and the final character. Not among them are modes, such as
 * mouse reports: many programs set them, and they type nothing before somebody acts.
 */
const CSI_NAMES = byKey([
  "n", // DSR: status, cursor position
  "?n",
  "c", // DA: what the terminal is
  ">c",
  "=c",
  ">q", // XTVERSION
  "$p", // DECRQM: which modes are set
  "?$p",
  "x", // DECREQTPARM
  "?u", // kitty: keyboard flags
  "&u", // DECRQUPSS
  "$u", // DECRQTSR
  "$w", // DECRQPSR
  "?m", // XTQMODKEYS
  "?S", // XTSMGRAPHICS
  "#R", // XTREPORTCOLORS
  "#|", // XTREPORTSGR
  "'|", // DECRQLP
  "*y", // DECRQCRA: a checksum of what is on the screen
  "y", // DECTST
  "t", // XTWINOPS: reports the title, moves and resizes the window
  "i", // MC: prints
  "?i",
]);

/** By character: whether it ends a `CSI` with nothing but numbers that is none of these. */
const HARMLESS_FINALS = Uint8Array.from({ length: 0x7f }, (_, final) => {
  return final >= 0x40 && !CSI_NAMES.has(keyOf(0, 0, final)) ? 1 : 0;
});

/** `DCS` and then an intermediate and the final character. */
const DCS_NAMES = byKey([
  "$q", // DECRQSS
  "+q", // XTGETTCAP
  "|", // DECUDK: what function keys type
  "t", // tmux: what follows is for the terminal around it
  "p", // iTerm2: tmux's control mode
]);
/** Sixel pictures, and updates of the screen as a whole. */
const HARMLESS_DCS = byKey(["q", "=s"]);

/** Window titles are saved and restored by every pager and editor. */
const HARMLESS_WINDOW_OPERATIONS: ReadonlySet<number> = new Set([22, 23]);

/** Commands of the operating system that act, whatever they say. */
const ACTING_OSC: ReadonlySet<number> = new Set([
  3, // X properties
  9, // notifications, ConEmu's macros
  46, // log file
  50, // font
  51, // Emacs: commands
  52, // clipboard
  60, // features
  61,
  99, // notifications
  777,
  1337, // iTerm2: clipboard, files
  5113, // kitty: files
  5522, // kitty: clipboard
]);
/** Those that ask if a parameter is `?`, and otherwise set a colour or the pointer's shape. */
const ASKING_OSC: ReadonlySet<number> = new Set([4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22]);
/**
 * Those that act by no means: titles, resets of colours, the working directory, marks of a shell's prompt.
 *
 * Links (8) are among them. They do nothing until somebody clicks, and a listing has hundreds, which would
 * hide the marks that matter.
 */
const HARMLESS_OSC: ReadonlySet<number> = new Set([
  ...[0, 1, 2, 6, 7, 8, 66, 104, 105, 106, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119],
  ...[133, 176, 633, 3008, 30001, 30101],
]);
/** All numbers above this are the same. */
const MAX_NUMBER = 999_999;

const ENQ = 0x05;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
/** The first byte of U+0080 to U+009F, the C1 controls. */
const C1_LEAD = 0xc2;
const SEMICOLON = 0x3b;
const QUESTION_MARK = 0x3f;

type State =
  | "text"
  | "escape"
  /** `ESC` and an intermediate: a character set or the like. */
  | "escape-intermediate"
  | "csi"
  | "dcs"
  | "osc-number"
  /** The parameters of an `OSC` that may ask. */
  | "osc-parameters"
  | "apc";

const NOTHING: ReadonlySet<string> = new Set();

/** Whether a control sequence may begin with this byte. */
export function mayBeginControl(byte: number): boolean {
  return byte === ESC || byte === C1_LEAD || byte === ENQ;
}

/** One for each stream of output. */
export class ControlScanner {
  #state: State = "text";
  /** The last byte may begin a C1 control. */
  #isAfterC1Lead = false;
  /** The first parameter. */
  #number = 0;
  #isFirstParameter = true;
  #prefix = 0;
  #intermediate = 0;
  #isAfterSemicolon = false;
  #found: ReadonlySet<string> = NOTHING;

  /** Within a sequence, so that bytes matter that begin none. */
  get isWithin(): boolean {
    return this.#state !== "text" || this.#isAfterC1Lead;
  }

  /** @returns the names of what ended in `bytes`, each once: `OSC 52`, `CSI n` */
  scan(bytes: Uint8Array): ReadonlySet<string> {
    this.#found = NOTHING;
    for (let i = 0; i < bytes.length; i++) {
      if (!this.isWithin) {
        i = skipHarmless(bytes, i);
        if (i === bytes.length) break;
      }
      this.#step(bytes[i] as number);
    }
    return this.#found;
  }

  #step(byte: number): void {
    const isC1 = this.#isAfterC1Lead && byte >= 0x80 && byte <= 0x9f;
    this.#isAfterC1Lead = byte === C1_LEAD;
    // The same as ESC and the character 0x40 below.
    if (isC1) this.#beginSequence(byte - 0x40);
    else if (byte === ESC) this.#state = "escape";
    else if (byte === CAN || byte === SUB) this.#state = "text";
    else if (byte === ENQ && this.#state === "text") this.#find("ENQ");
    else if (byte === BEL && this.#isInOsc) this.#state = "text";
    // Terminals carry out other controls within a sequence, and ignore what is not ASCII.
    else if (byte >= 0x20 && byte < 0x7f) this.#continue(byte);
  }

  get #isInOsc(): boolean {
    return this.#state === "osc-number" || this.#state === "osc-parameters";
  }

  #beginSequence(introducer: number): void {
    this.#number = 0;
    this.#isFirstParameter = true;
    this.#prefix = 0;
    this.#intermediate = 0;
    this.#isAfterSemicolon = false;
    this.#state = "text";
    if (introducer === 0x5b) this.#state = "csi";
    else if (introducer === 0x5d) this.#state = "osc-number";
    else if (introducer === 0x50) this.#state = "dcs";
    else if (introducer === 0x5f) this.#state = "apc";
    // DECID, an old DA.
    else if (introducer === 0x5a) this.#find("ESC Z");
  }

  /** @param byte of printable ASCII */
  #continue(byte: number): void {
    switch (this.#state) {
      case "escape":
        if (byte <= 0x2f) this.#state = "escape-intermediate";
        else this.#beginSequence(byte);
        return;
      case "escape-intermediate":
        if (byte > 0x2f) this.#state = "text";
        return;
      case "csi":
      case "dcs":
        if (byte <= 0x2f) this.#intermediate = byte;
        else if (byte <= 0x39) this.#digit(byte);
        else if (byte <= SEMICOLON) this.#isFirstParameter = false;
        else if (byte <= QUESTION_MARK) this.#prefix ||= byte;
        else if (this.#state === "csi") this.#endCsi(byte);
        else this.#beginDcs(byte);
        return;
      case "osc-number":
        if (byte >= 0x30 && byte <= 0x39) this.#digit(byte);
        else this.#beginOsc(byte);
        return;
      case "osc-parameters":
        if (byte === QUESTION_MARK && this.#isAfterSemicolon) this.#find(`OSC ${this.#number} ?`);
        this.#isAfterSemicolon = byte === SEMICOLON;
        return;
      case "apc":
        // kitty's pictures: they may be files of the terminal's own machine.
        if (byte === 0x47) this.#find("APC G");
        this.#state = "text";
        return;
    }
  }

  #digit(byte: number): void {
    if (this.#isFirstParameter) this.#number = Math.min(this.#number * 10 + byte - 0x30, MAX_NUMBER);
  }

  #endCsi(final: number): void {
    this.#state = "text";
    const name = CSI_NAMES.get(keyOf(this.#prefix, this.#intermediate, final));
    if (name === undefined) return;
    if (name === "t" && HARMLESS_WINDOW_OPERATIONS.has(this.#number)) return;
    this.#find(`CSI ${name}`);
  }

  /** The data that follow are as text: whatever ends them is found as an `ESC` or a C1 control. */
  #beginDcs(final: number): void {
    this.#state = "text";
    const key = keyOf(this.#prefix, this.#intermediate, final);
    if (!HARMLESS_DCS.has(key)) this.#find(`DCS ${DCS_NAMES.get(key) ?? "other"}`);
  }

  /** @param byte after the number */
  #beginOsc(byte: number): void {
    this.#state = "text";
    if (byte !== SEMICOLON || HARMLESS_OSC.has(this.#number)) return;
    if (ASKING_OSC.has(this.#number)) {
      this.#isAfterSemicolon = true;
      this.#state = "osc-parameters";
    } else {
      this.#find(`OSC ${ACTING_OSC.has(this.#number) ? this.#number : "other"}`);
    }
  }

  #find(name: string): void {
    this.#found = new Set(this.#found).add(name);
  }
}

function byKey(names: readonly string[]): ReadonlyMap<number, string> {
  return new Map(
    names.map((name) => {
      const codes = [...name].map((character) => character.charCodeAt(0));
      const prefix = codes.find((code) => code >= 0x3c && code <= 0x3f && codes.length > 1) ?? 0;
      const intermediate = codes.find((code) => code <= 0x2f) ?? 0;
      return [keyOf(prefix, intermediate, codes.at(-1) ?? 0), name];
    }),
  );
}

function keyOf(prefix: number, intermediate: number, final: number): number {
  return (prefix << 16) | (intermediate << 8) | final;
}

/**
 * Skips text, and the sequences that coloured text is full of.
 *
 * @returns where a control sequence may begin that has to be read
 */
function skipHarmless(bytes: Uint8Array, from: number): number {
  let i = from;
  while (i < bytes.length) {
    const byte = bytes[i] as number;
    if (byte === ESC && bytes[i + 1] === 0x5b) {
      let end = i + 2;
      while ((bytes[end] as number) >= 0x30 && (bytes[end] as number) <= SEMICOLON) end++;
      if (HARMLESS_FINALS[bytes[end] as number] !== 1) return i;
      i = end + 1;
    } else if (mayBeginControl(byte)) {
      return i;
    } else {
      i++;
    }
  }
  return i;
}
