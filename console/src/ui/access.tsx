/** Access for a while: what several pages show of it, and what people do with it. */
import type { JSX } from "preact";
import { mayRevoke, STATE_TONES } from "../access.ts";
import { pageAddress } from "../address.ts";
import { call } from "../api/client.ts";
import type { AccessRequest, AvailableGrant } from "../api/endpoints.ts";
import { me } from "../me.ts";
import { CommandButton } from "./confirm.tsx";
import { reasonOf } from "./form.ts";
import { DocumentLinks } from "./rule.tsx";
import { Untrusted } from "./untrusted.tsx";

/** The address of a request's page. */
export function approvalAddress(id: string): string {
  return pageAddress(`/approvals/${encodeURIComponent(id)}`);
}

/** A grant, as a link to the request for it. */
export function AccessLink({ access: { id, grant } }: { readonly access: Pick<AccessRequest, "id" | "grant"> }) {
  return (
    <a href={approvalAddress(id)}>
      <Untrusted text={grant} />
    </a>
  );
}

export function AccessState({ request: { state } }: { readonly request: Pick<AccessRequest, "state"> }): JSX.Element {
  return <span class={`tag ${STATE_TONES[state]}`}>{state}</span>;
}

/** What a grant gives. */
export function Gives({ groups, rules }: { readonly groups: readonly string[]; readonly rules: readonly string[] }) {
  return (
    <>
      {groups.length > 0 && (
        <>
          {"the Kubernetes "}
          {groups.length === 1 ? "group " : "groups "}
          <Untrusted text={groups.join(", ")} />
        </>
      )}
      {groups.length > 0 && rules.length > 0 && "; "}
      {rules.length > 0 && (
        <>
          {"what the "}
          {rules.length === 1 ? "rule " : "rules "}
          <DocumentLinks part="rule" names={rules} /> {rules.length === 1 ? "requires" : "require"} an approval for
        </>
      )}
    </>
  );
}

interface OfRequest {
  readonly request: AccessRequest;
  readonly onDone: () => void;
}

/** Approve and deny, where the edge says that the person may. */
export function Decide({ request, onDone }: OfRequest): JSX.Element {
  const { id, user, grant, minutes, mayDecide, needed, approvals } = request;
  /** How many others must approve it, too. */
  const missing = Math.max(0, needed - approvals.length - 1);
  return (
    <>
      {mayDecide.includes("approve") && (
        <CommandButton
          title="Approve"
          isPrimary
          run={(form) => {
            const given = Number(form.get("minutes"));
            const body = { decision: "approve", ...reasonOf(form), ...(given > 0 && { minutes: given }) };
            return call("POST /-/approvals/{id}", { params: { id }, body });
          }}
          done="Approved."
          onDone={onDone}
          fields={
            <label>
              Minutes, at most the {minutes} that were asked for
              <input name="minutes" type="number" min="1" max={minutes} defaultValue={String(minutes)} required />
            </label>
          }
        >
          <p>
            Gives <Untrusted text={user} /> the grant <Untrusted text={grant} />
            {missing === 0 && " from now on"}
            {missing === 1 && ", once one more person has approved it"}
            {missing > 1 && `, once ${missing} more people have approved it`}. They read your reason.
          </p>
        </CommandButton>
      )}
      {mayDecide.includes("deny") && (
        <CommandButton
          title="Deny"
          isDangerous
          run={(form) =>
            call("POST /-/approvals/{id}", { params: { id }, body: { decision: "deny", ...reasonOf(form) } })
          }
          done="Denied."
          onDone={onDone}
        >
          <p>
            Ends the request of <Untrusted text={user} /> for <Untrusted text={grant} />, and what waits for it. They
            read your reason.
          </p>
        </CommandButton>
      )}
    </>
  );
}

interface EndProps {
  readonly access: Pick<AccessRequest, "id" | "user" | "grant" | "until">;
  readonly onDone: () => void;
}

/** Ends a request that waits, or a grant that holds: one's own, or somebody else's where that is allowed. */
export function EndAccess({ access, onDone }: EndProps): JSX.Element | null {
  const { id, user, grant, until } = access;
  const isActive = until !== null;
  const who = me.value;
  if (!who || !mayRevoke(who, access)) return null;
  const isOwn = user === who.identity;
  // Whoever decides denies what waits.
  if (!isOwn && !isActive && who.approves.includes(grant)) return null;
  const title = isOwn ? (isActive ? "Give back" : "Withdraw") : "Revoke";
  return (
    <CommandButton
      title={title}
      isDangerous
      run={(form) =>
        isOwn
          ? call("DELETE /-/access/{id}", { params: { id }, body: reasonOf(form) })
          : call("DELETE /-/grants/{id}", { params: { id }, body: reasonOf(form) })
      }
      done={isActive ? "The access has ended." : "The request is withdrawn."}
      onDone={onDone}
    >
      <p>
        {isActive ? "Ends the access " : "Withdraws the request for "}
        <Untrusted text={grant} /> of <Untrusted text={user} />
        {isActive ? ", and the sessions that were opened with it, at once." : "."}
        {!isOwn && " They read your reason."}
      </p>
    </CommandButton>
  );
}

const DEFAULT_MINUTES = 60;

/** Asks for a grant. @param onAsked with the request, also where an earlier one answers */
export function AskForGrant({
  grant,
  onAsked,
}: {
  readonly grant: AvailableGrant;
  readonly onAsked: (id: string) => void;
}): JSX.Element {
  const { name, maxMinutes, requireReason, selfApproval, approvers, count } = grant;
  return (
    <CommandButton
      title="Ask"
      isPrimary
      reason={requireReason ? "required" : "optional"}
      run={async (form) => {
        const query = { grant: name, minutes: Number(form.get("minutes")) };
        const asked = await call("POST /-/access", { query, body: reasonOf(form) });
        if (asked.ok) onAsked(asked.value.id);
        return asked;
      }}
      done="Asked."
      fields={
        <label>
          Minutes, at most {maxMinutes}
          <input
            name="minutes"
            type="number"
            min="1"
            max={maxMinutes}
            defaultValue={String(Math.min(DEFAULT_MINUTES, maxMinutes))}
            required
          />
        </label>
      }
    >
      <p>
        {selfApproval ? (
          <>
            <Untrusted text={name} /> holds as soon as you ask, and an alert is sent.
          </>
        ) : (
          <>
            Asks {count > 1 && `${count} of `}
            <Untrusted text={approvers} /> for <Untrusted text={name} />. They read your reason.
          </>
        )}
      </p>
    </CommandButton>
  );
}
