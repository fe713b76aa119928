/** What several pages show of a session. */
import type { JSX } from "preact";
import { commandLine } from "../../../common/shell.ts";
import { pageAddress } from "../address.ts";
import type { Session } from "../api/endpoints.ts";
import { maySee } from "../me.ts";
import { Untrusted, UntrustedCode } from "./untrusted.tsx";

type Outcome = NonNullable<Session["outcome"]>;

/** How a reader takes an outcome: as usual, as somebody's or something's doing, as a fault. */
const OUTCOME_TONES = {
  exited: "quiet",
  disconnected: "quiet",
  closed: "quiet",
  failed: "warn",
  refused: "bad",
  idle_limit: "warn",
  duration_limit: "warn",
  token_expired: "warn",
  access_ended: "warn",
  not_approved: "bad",
  not_watched: "bad",
  recording_failed: "bad",
  recording_limit: "warn",
  stalled: "warn",
  protocol_error: "bad",
  terminated: "bad",
  upstream_lost: "warn",
  interrupted: "warn",
} as const satisfies Record<Outcome, string>;

export const OUTCOMES = Object.keys(OUTCOME_TONES) as readonly Outcome[];

/** An outcome in words. */
export function outcomeLabel(outcome: Outcome): string {
  return outcome.replaceAll("_", " ");
}

/** Whether a session is live, or how it ended. */
export function SessionState({ session }: { readonly session: Session }): JSX.Element {
  const { outcome, exitCode } = session;
  if (outcome === null) return <span class="tag good">live</span>;
  const exit = exitCode === null ? "" : ` ${exitCode}`;
  return (
    <span class={`tag ${OUTCOME_TONES[outcome]}`}>{outcome === "exited" ? `exit${exit}` : outcomeLabel(outcome)}</span>
  );
}

/** The address of a session's page. @param query of a moment of it */
export function sessionAddress(id: string, query: { readonly at?: string } = {}): string {
  return pageAddress(`/sessions/${encodeURIComponent(id)}`, query);
}

/** Where a session is, as a link to its page where whoever looks may see that. */
export function SessionLink({ session }: { readonly session: Session }): JSX.Element {
  const { id, user, namespace, pod, container } = session;
  const where = (
    <>
      <Untrusted text={`${namespace}/${pod}`} />
      {container !== null && (
        <>
          {" "}
          <small>
            <Untrusted text={container} />
          </small>
        </>
      )}
    </>
  );
  // An approver sees what somebody did in the last hour, and no more of it.
  if (!maySee(user)) return <span>{where}</span>;
  return <a href={sessionAddress(id)}>{where}</a>;
}

/** What a session does: its kind, and its command or ports. */
export function SessionPurpose({ session }: { readonly session: Session }): JSX.Element {
  const { kind, command, ports } = session;
  return (
    <>
      {kind} {command.length > 0 && <UntrustedCode text={shorten(commandLine(command))} />}
      {ports.length > 0 && ports.join(", ")}
    </>
  );
}

const MAX_COMMAND_CHARS = 120;

function shorten(text: string): string {
  return text.length <= MAX_COMMAND_CHARS ? text : `${text.slice(0, MAX_COMMAND_CHARS)}…`;
}

/** The address of a person's page. */
export function personAddress(user: string): string {
  return pageAddress(`/people/${encodeURIComponent(user)}`);
}

/** A person, as a link to what else they did, where whoever looks may see it. */
export function PersonLink({ user }: { readonly user: string }): JSX.Element {
  if (!maySee(user)) return <Untrusted text={user} />;
  return (
    <a href={personAddress(user)}>
      <Untrusted text={user} />
    </a>
  );
}
