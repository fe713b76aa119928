import type { Surroundings } from "../../../cli/surroundings.ts";

/**
 * Surroundings in which nobody can sign in, with what a test changes. What is written can be read from them.
 */
export function surroundingsOf(
  change: Partial<Surroundings> = {},
): Surroundings & { readonly printed: string[]; readonly noted: string[] } {
  const printed: string[] = [];
  const noted: string[] = [];
  return {
    env: {},
    platform: "linux",
    homeFolder: "/home/alice",
    now: () => 1_800_000_000_000,
    sleep: async () => {},
    isStdinTerminal: false,
    isStdoutTerminal: false,
    isStderrTerminal: false,
    print: (line) => printed.push(line),
    write: (text) => printed.push(text),
    note: (line) => noted.push(line),
    readLines: () => () => {},
    ...change,
    printed,
    noted,
  };
}
