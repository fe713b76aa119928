/** An administrator's commands, on whichever page they are. */
import type { JSX } from "preact";
import { call } from "../api/client.ts";
import type { Session } from "../api/endpoints.ts";
import { isAdmin } from "../me.ts";
import { CommandButton } from "./confirm.tsx";
import { reasonOf } from "./form.ts";
import { Untrusted } from "./untrusted.tsx";

/** Ends a live session; its user reads the reason. Whoever is no administrator may end their own. */
export function EndSession({
  session: { id, user, namespace, pod },
  onDone,
}: {
  readonly session: Pick<Session, "id" | "user" | "namespace" | "pod">;
  readonly onDone?: () => void;
}): JSX.Element {
  return (
    <CommandButton
      title="End session"
      isDangerous
      run={(form) => {
        const endpoint = isAdmin() ? "DELETE /-/admin/sessions/{id}" : "DELETE /-/sessions/{id}";
        return call(endpoint, { params: { id }, body: reasonOf(form) });
      }}
      done="The session is ended."
      {...(onDone && { onDone })}
    >
      <p>
        Ends the session of <Untrusted text={user} /> in <Untrusted text={`${namespace}/${pod}`} /> within a second.
        They read the reason in their terminal.
      </p>
    </CommandButton>
  );
}

/** Locks a person: ends their sessions, and refuses everything from them. */
export function LockPerson({ user, onDone }: { readonly user: string; readonly onDone?: () => void }): JSX.Element {
  const run = (form: FormData) => {
    const minutes = Number(form.get("minutes"));
    const body = { ...reasonOf(form), ...(minutes > 0 && { minutes }) };
    return call("PUT /-/admin/locks/{email}", { params: { email: user }, body });
  };
  return (
    <CommandButton
      title="Lock person"
      isDangerous
      run={run}
      done="The person is locked."
      {...(onDone && { onDone })}
      fields={
        <label>
          Minutes; empty until somebody lifts it
          <input name="minutes" type="number" min="1" max="527040" inputMode="numeric" />
        </label>
      }
    >
      <p>
        Ends every session of <Untrusted text={user} />, and refuses everything from them. They read the reason.
      </p>
    </CommandButton>
  );
}

/** Lifts the lock of a person. */
export function LiftLock({ user, onDone }: { readonly user: string; readonly onDone: () => void }): JSX.Element {
  return (
    <CommandButton
      title="Lift lock"
      isPrimary
      run={(form) => call("DELETE /-/admin/locks/{email}", { params: { email: user }, body: reasonOf(form) })}
      done="The lock is lifted."
      onDone={onDone}
    >
      <p>
        Lets <Untrusted text={user} /> in again, as the rules say.
      </p>
    </CommandButton>
  );
}

/** Ends all sessions of a person, who may open others. */
export function EndAllSessions({ user, count }: { readonly user: string; readonly count: number }): JSX.Element {
  return (
    <CommandButton
      title="End all sessions"
      isDangerous
      run={(form) => call("DELETE /-/admin/users/{email}/sessions", { params: { email: user }, body: reasonOf(form) })}
      done="All sessions are ended."
    >
      <p>
        Ends {count === 1 ? "the session" : `the ${count} sessions`} of <Untrusted text={user} /> at every cluster. They
        read the reason, and may open others: lock them to prevent that.
      </p>
    </CommandButton>
  );
}

const MAX_MESSAGE_CHARS = 400;

/** Shows a line on the terminal of a live session. */
export function SendMessage({
  session: { id, user },
}: {
  readonly session: Pick<Session, "id" | "user">;
}): JSX.Element {
  return (
    <CommandButton
      title="Send a line"
      reason="none"
      run={(form) => {
        const text = String(form.get("text") ?? "");
        return call("POST /-/admin/sessions/{id}/message", { params: { id }, body: { text } });
      }}
      done="The line is on their terminal."
      fields={
        <label>
          Line
          <input name="text" maxLength={MAX_MESSAGE_CHARS} autoComplete="off" required />
        </label>
      }
    >
      <p>
        Shows a line on the terminal of <Untrusted text={user} />, as Sallyport's, with your name. It is in the
        recording and in the audit log.
      </p>
    </CommandButton>
  );
}
