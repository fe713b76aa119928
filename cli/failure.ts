/** How the plugin fails: with a message for the person, and an exit code for scripts. */
import { shorten } from "./table.ts";

/** Exit codes. Scripts depend on these numbers. */
export const EXIT_CODES = {
  done: 0,
  /** It could not do it: a refusal, an unreachable host, an unreadable file. */
  failed: 1,
  /** The command line is wrong; nothing was done. */
  usage: 2,
  /** Somebody has to sign in, and cannot here or did not. */
  signIn: 3,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** The rule as help and docs state it. */
export const EXIT_CODE_RULE = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not signed in.";

/** What a program may switch on; the message is for people. */
export type FailureCode =
  | "usage"
  | "bad_exec_info"
  | "bad_kubeconfig"
  | "no_cluster"
  | "insecure_server"
  | "wrong_host"
  | "no_managed_oauth"
  | "signed_in_without_plugin"
  | "access_refused"
  | "bad_metadata"
  | "unreachable"
  | "untrusted_certificate"
  | "sign_in_required"
  | "sign_in_failed"
  | "sign_in_timeout"
  | "no_browser"
  | "busy"
  | "store"
  | "revocation"
  | "api"
  | "proxy";

/** Longer than any message of ours. A server's own text is in some, and could be megabytes. */
const MAX_MESSAGE_CHARS = 4_000;

/** A failure that the person can do something about. The message says what happened, then what to do. */
export class PluginFailure extends Error {
  override readonly name = "PluginFailure";
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string) {
    super(shorten(message, MAX_MESSAGE_CHARS));
    this.code = code;
  }

  get exitCode(): ExitCode {
    return exitCodeOf(this.code);
  }
}

function exitCodeOf(code: FailureCode): ExitCode {
  switch (code) {
    case "usage":
      return EXIT_CODES.usage;
    case "sign_in_required":
    case "sign_in_failed":
    case "sign_in_timeout":
    case "no_browser":
      return EXIT_CODES.signIn;
    default:
      return EXIT_CODES.failed;
  }
}
