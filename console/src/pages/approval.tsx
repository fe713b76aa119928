/** One request for access: what is asked, by whom and why, what they did in the last hour, and the decision. */
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { concerns, isOpen, progressOf } from "../access.ts";
import type { AccessRequest } from "../api/endpoints.ts";
import { useAccessChanges } from "../api/use-access-changes.ts";
import { useCall } from "../api/use-call.ts";
import { useFresh } from "../api/use-fresh.ts";
import { isAuditor, maySee, me } from "../me.ts";
import { AccessState, Decide, EndAccess, Gives } from "../ui/access.tsx";
import { ActivityList } from "../ui/activity.tsx";
import { announce } from "../ui/announce.tsx";
import { Fact } from "../ui/facts.tsx";
import { Show } from "../ui/loading.tsx";
import { DocumentLink } from "../ui/rule.tsx";
import { PersonLink, personAddress } from "../ui/session.tsx";
import { Time } from "../ui/time.tsx";
import { useTitle } from "../ui/title.ts";
import { Untrusted } from "../ui/untrusted.tsx";
import type { PageProps } from "./page.ts";

export function ApprovalPage({ params }: PageProps): JSX.Element {
  const id = params["id"] ?? "";
  const request = useCall("GET /-/approvals/{id}", { params: { id } });
  const { value } = request;
  useAccessChanges((changed) => {
    if (concerns(changed, id) && (!value || isOpen(value))) request.refresh();
  });
  useTitle(value && `${value.user}: ${value.grant}`, "Approvals");
  return <Show loaded={request}>{(one) => <Request request={one} reload={request.reload} />}</Show>;
}

interface RequestProps {
  readonly request: AccessRequest;
  readonly reload: () => void;
}

function Request({ request, reload }: RequestProps): JSX.Element {
  const { user, grant, minutes, state } = request;
  useEffect(() => {
    if (state !== "pending") announce(`The request is ${state}.`);
  }, [state]);
  return (
    <>
      <p class="lead">
        <AccessState request={request} /> <PersonLink user={user} /> {state === "pending" ? "asks" : "asked"} for{" "}
        <DocumentLink part="grant" name={grant} /> for {minutes} min
      </p>
      <div class="halves">
        <section aria-labelledby="request">
          <h2 id="request">The request</h2>
          <Facts request={request} />
          <Decision request={request} reload={reload} />
        </section>
        <LastHour request={request} />
      </div>
    </>
  );
}

function Facts({ request }: { readonly request: AccessRequest }): JSX.Element {
  const { reason, purpose, gives, approvals, end, approvers, since, until, selfApproved } = request;
  return (
    <dl class="facts card">
      <Fact name="Why">
        <Untrusted text={reason} />
      </Fact>
      <Fact name="Needed for">{purpose === null ? "nothing that waits now" : <Untrusted text={purpose} />}</Fact>
      <Fact name="Gives">{gives ? <Gives {...gives} /> : "nothing: the configuration no longer has this grant"}</Fact>
      <Fact name="In the cluster as">
        <Untrusted text={request.kubernetesUser} />
      </Fact>
      <Fact name="Asked">
        <Time at={request.requestedAt} />
      </Fact>
      {request.state === "pending" && (
        <Fact name="Decide before">
          <Time at={request.expiresAt} />
        </Fact>
      )}
      <Fact name="May decide">
        <Untrusted text={approvers} />
      </Fact>
      <Fact name="Approvals">
        {selfApproved ? <span class="tag bad">self-approved; an alert was sent</span> : progressOf(request)}
        {approvals.length > 0 && (
          <ul class="plain">
            {approvals.map((approval) => (
              <li key={`${approval.by} ${approval.at}`}>
                <WhoAndWhy {...approval} />
              </li>
            ))}
          </ul>
        )}
      </Fact>
      {since !== null && (
        <Fact name="Active">
          from <Time at={since} /> until <Time at={until} />
        </Fact>
      )}
      {end && (
        <Fact name={end.how === "denied" ? "Denied by" : "Ended by"}>
          <WhoAndWhy {...end} />
        </Fact>
      )}
    </dl>
  );
}

/** Who decided, when, and why, where they said so. */
function WhoAndWhy({ by, at, reason }: Pick<AccessRequest["approvals"][number], "by" | "at" | "reason">): JSX.Element {
  return (
    <>
      <Untrusted text={by} />, <Time at={at} />
      {reason !== null && (
        <>
          {": "}
          <Untrusted text={reason} />
        </>
      )}
    </>
  );
}

function Decision({ request, reload }: RequestProps): JSX.Element | null {
  const { state, user, mayDecide } = request;
  if (!isOpen(request)) return null;
  const isOwn = user === me.value?.identity;
  return (
    <>
      <div class="actions">
        <Decide request={request} onDone={reload} />
        <EndAccess access={request} onDone={reload} />
      </div>
      {state === "pending" && mayDecide.length === 0 && (
        <p class="hint">
          {isOwn
            ? "You cannot decide your own request: send this page's address to an approver."
            : "You cannot decide this request."}
        </p>
      )}
    </>
  );
}

/** What the person did lately, beside what they ask for: whoever decides must not have to look for it. */
function LastHour({ request }: { readonly request: AccessRequest }): JSX.Element | null {
  // As the API has it: approvers see it while the request waits or holds.
  const isShown = maySee(request.user) || isOpen(request);
  const activity = useCall(isShown ? "GET /-/approvals/{id}/activity" : undefined, { params: { id: request.id } });
  useFresh(() => {
    if (isOpen(request)) activity.refresh();
  });
  if (!isShown) return null;
  return (
    <section aria-labelledby="last-hour">
      <h2 id="last-hour">Their last hour</h2>
      <div class="card">
        <Show loaded={activity}>
          {({ items, complete }) => (
            <>
              {!complete && (
                <p class="failure">
                  Only the newest sessions and API requests are shown: earlier ones are left out.{" "}
                  {isAuditor() && (
                    <a href={personAddress(request.user)}>
                      Everything that <Untrusted text={request.user} /> did
                    </a>
                  )}
                </p>
              )}
              <ActivityList items={items} empty="They opened no session and sent no request that the audit log has." />
            </>
          )}
        </Show>
      </div>
    </section>
  );
}
