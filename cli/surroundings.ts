/** What the plugin gets from its process. Tests pass their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly homeFolder: string;
  /** Milliseconds since 1970 by this machine's clock. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly isStdinTerminal: boolean;
  readonly isStdoutTerminal: boolean;
  readonly isStderrTerminal: boolean;
  /** Writes a line of the result, to standard output. */
  readonly print: (line: string) => void;
  /** Writes text to standard output as it is. */
  readonly write: (text: string) => void;
  /** Writes a remark, to standard error. */
  readonly note: (line: string) => void;
  /** Calls back with each line of standard input until the returned function is called. */
  readonly readLines: (onLine: (line: string) => void) => () => void;
}
