/** How a command ends. Scripts depend on these numbers; no command has others. */
export const EXIT_CODES = {
  /** The command did what it was asked, and found nothing wrong. */
  done: 0,
  /** It could not do it, or it found something wrong: a failed check, a broken link, a refused request. */
  failed: 1,
  /** The command line is wrong; nothing was done. */
  usage: 2,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** The rule as help and docs state it. */
export const EXIT_CODE_RULE =
  "Exit codes: 0 done and nothing wrong found, 1 failed or something wrong found, 2 wrong usage.";
