/** Shell completion: kubectl runs `kubectl_complete-sallyport ARGS…` for `kubectl sallyport ARGS…`. Pure. */
import { optionLabel } from "../command-line/help.ts";
import { givenOptions } from "../command-line/parse.ts";
import type { Verb } from "./verb.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The values of options that stand before the word that is typed, and the empty text for flags. */
export type Given = ReadonlyMap<string, string>;

/** What cannot be known from the command line alone. */
export interface Candidates {
  readonly contexts: (given: Given) => Promise<readonly string[]>;
  readonly sessions: (given: Given) => Promise<readonly string[]>;
  /** Grants that one may ask for. */
  readonly grants: (given: Given) => Promise<readonly string[]>;
  /** Requests for access that one may decide about. */
  readonly pending: (given: Given) => Promise<readonly string[]>;
  /** One's own requests and grants. */
  readonly access: (given: Given) => Promise<readonly string[]>;
}

/** What follows a verb. */
const ARGUMENTS: Readonly<Record<string, keyof Candidates>> = {
  end: "sessions",
  request: "grants",
  approve: "pending",
  deny: "pending",
  revoke: "access",
};

/**
 * cobra's directives, which kubectl's own completion scripts know: https://pkg.go.dev/github.com/spf13/cobra
 */
export const DIRECTIVE_DEFAULT = 0;
export const DIRECTIVE_NO_FILES = 4;

export interface Completion {
  readonly words: readonly string[];
  readonly directive: number;
}

/**
 * Completes a command line.
 *
 * @param args what follows the program's name; the last one is what is being typed, possibly empty
 */
export async function complete(
  args: readonly string[],
  verbs: readonly Verb[],
  candidates: Candidates,
): Promise<Completion> {
  const typed = args.at(-1) ?? "";
  const [name, ...rest] = args.slice(0, -1);
  if (name === undefined) return matching([...verbs.map((verb) => verb.name), "help", "version"], typed);
  if (name === "help") return matching(rest.length === 0 ? verbs.map((verb) => verb.name) : [], typed);
  const verb = verbs.find((each) => each.name === name);
  if (!verb) return matching([], typed);
  const before = rest.at(-1)?.replace(/^--/, "");
  const option = rest.at(-1)?.startsWith("--") ? verb.options[before ?? ""] : undefined;
  if (option?.placeholder !== undefined) {
    const given = givenOptions(rest.slice(0, -1), verb.options);
    if (before === "context") return matching(await candidates.contexts(given), typed);
    return { words: [], directive: option.placeholder === "FILE" ? DIRECTIVE_DEFAULT : DIRECTIVE_NO_FILES };
  }
  if (typed.startsWith("-")) {
    const labels = Object.entries(verb.options).map(([each, one]) => optionLabel(each, one).split(" ")[0] ?? "");
    return matching([...labels, "--help"], typed);
  }
  const kind = ARGUMENTS[name];
  if (kind) return matching(await candidates[kind](givenOptions(rest, verb.options)), typed);
  if (name === "completion") return matching(SHELLS, typed);
  return matching([], typed);
}

function matching(words: readonly string[], typed: string): Completion {
  // A line is a word, and what follows a tab is its description.
  const isWord = (word: string) => word.startsWith(typed) && !/[\n\r\t]/.test(word);
  return { words: words.filter(isWord), directive: DIRECTIVE_NO_FILES };
}

/** What completion prints: the words, then the directive. */
export function renderCompletion({ words, directive }: Completion): string {
  return [...words, `:${directive}`].join("\n");
}

/** The file `kubectl_complete-sallyport`, for a folder on PATH. */
export const KUBECTL_COMPLETE = `#!/bin/sh
exec kubectl-sallyport __complete "$@"
`;

/**
 * A script for a shell that completes `kubectl-sallyport` itself. For `kubectl sallyport` kubectl's own
 * completion asks `kubectl_complete-sallyport`.
 */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return BASH;
    case "zsh":
      return ZSH;
    case "fish":
      return FISH;
  }
}

const BASH = `# bash completion for kubectl-sallyport: source <(kubectl-sallyport completion bash)
_kubectl_sallyport() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :0) compopt -o default ;;
      :*) ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <(kubectl-sallyport __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _kubectl_sallyport kubectl-sallyport
`;

const ZSH = `#compdef kubectl-sallyport
# zsh completion for kubectl-sallyport: source <(kubectl-sallyport completion zsh)
_kubectl_sallyport() {
  local -a answer
  answer=("\${(@f)$(kubectl-sallyport __complete "\${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  if [[ "\${answer[-1]}" == ":0" ]]; then
    _files
  else
    compadd -- "\${(@)answer[1,-2]}"
  fi
}
compdef _kubectl_sallyport kubectl-sallyport
`;

const FISH = `# fish completion for kubectl-sallyport: kubectl-sallyport completion fish | source
function __kubectl_sallyport
  set -l words (commandline -opc) (commandline -ct)
  kubectl-sallyport __complete $words[2..-1] 2>/dev/null | string match -v -r '^:'
end
complete -c kubectl-sallyport -f -a '(__kubectl_sallyport)'
`;
