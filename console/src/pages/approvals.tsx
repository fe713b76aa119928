/** Approvals: what waits for a decision, what holds, what was decided, and one's own access. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useLocation } from "preact-iso/router";
import { decisionLabel, decisionTone, isOpen, progressOf } from "../access.ts";
import { pageAddress, useAddressState } from "../address.ts";
import type { AccessDecision, AccessRequest, AvailableGrant } from "../api/endpoints.ts";
import { useAccessChanges } from "../api/use-access-changes.ts";
import { useCall } from "../api/use-call.ts";
import { isAuditor, me } from "../me.ts";
import { AccessLink, AccessState, AskForGrant, approvalAddress, EndAccess, Gives } from "../ui/access.tsx";
import { announce } from "../ui/announce.tsx";
import { formatDuration } from "../ui/format.ts";
import { Show } from "../ui/loading.tsx";
import { DocumentLink } from "../ui/rule.tsx";
import { PersonLink } from "../ui/session.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { Untrusted } from "../ui/untrusted.tsx";

interface View {
  /** In the address. */
  readonly name: string;
  readonly title: string;
  readonly component: () => JSX.Element;
}

const MINE: View = { name: "mine", title: "My access", component: MyAccess };
const OF_APPROVERS: readonly View[] = [
  { name: "pending", title: "To decide", component: Pending },
  { name: "active", title: "Active", component: Active },
  { name: "decided", title: "Decided", component: Decided },
];

export function ApprovalsPage(): JSX.Element {
  const address = useAddressState();
  const decides = isAuditor() || (me.value?.approves.length ?? 0) > 0;
  const views = decides ? [...OF_APPROVERS, MINE] : [MINE];
  const wanted = address.get("view");
  const shown = views.find(({ name }) => name === wanted) ?? views[0] ?? MINE;
  const Shown = shown.component;
  return (
    <>
      {views.length > 1 && (
        <nav class="tabs" aria-label="Approvals">
          <ul>
            {views.map(({ name, title }) => (
              <li key={name}>
                <a
                  href={pageAddress("/approvals", { view: name })}
                  aria-current={name === shown.name ? "page" : undefined}
                >
                  {title}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      )}
      <Shown />
    </>
  );
}

function Pending(): JSX.Element {
  const approvals = useCall("GET /-/approvals", { query: { state: "pending" } });
  useAccessChanges(approvals.refresh);
  useAnnounceNew(approvals.value?.pending);
  return (
    <Show loaded={approvals}>
      {({ pending }) => (
        <>
          {pending.length === 0 && (
            <p class="card hint">No request is pending. Another one appears here as soon as somebody asks.</p>
          )}
          <ul class="plain">
            {pending.map((request) => (
              <li key={request.id}>
                <PendingRequest request={request} />
              </li>
            ))}
          </ul>
        </>
      )}
    </Show>
  );
}

function useAnnounceNew(pending: readonly AccessRequest[] | undefined): void {
  const known = useRef<ReadonlySet<string>>(undefined);
  useEffect(() => {
    if (!pending) return;
    const hasNew = pending.some(({ id }) => known.current?.has(id) === false);
    if (hasNew) announce("Another request for access waits.");
    known.current = new Set(pending.map(({ id }) => id));
  }, [pending]);
}

function PendingRequest({ request }: { readonly request: AccessRequest }): JSX.Element {
  const { id, user, grant, minutes, reason, purpose, requestedAt, mayDecide, gives } = request;
  const waited = formatDuration(Date.now() - Date.parse(requestedAt));
  return (
    <article class="card request" aria-label={`${user} asks for ${grant}`}>
      <div>
        <p class="lead">
          <PersonLink user={user} /> asks for <DocumentLink part="grant" name={grant} /> for {minutes} min
        </p>
        <p class="said">
          {reason === null ? <span class="none">No reason was given.</span> : <Untrusted text={reason} />}
        </p>
        {purpose !== null && (
          <p>
            Needed for: <Untrusted text={purpose} />
          </p>
        )}
        {gives && (
          <p>
            Gives: <Gives {...gives} />
          </p>
        )}
        <p class="hint">
          {progressOf(request)}. Asked {waited} ago, <Time at={requestedAt} />
        </p>
      </div>
      <a class={mayDecide.length > 0 ? "button primary" : "button"} href={approvalAddress(id)}>
        {mayDecide.length > 0 ? "Review and decide" : "Review"}
      </a>
    </article>
  );
}

function Active(): JSX.Element {
  const approvals = useCall("GET /-/approvals", { query: { state: "active" } });
  const columns: readonly Column<AccessDecision>[] = [
    { title: "Person", cell: ({ user }) => <PersonLink user={user} /> },
    { title: "Grant", cell: ({ grant }) => <DocumentLink part="grant" name={grant} /> },
    { title: "Until", cell: ({ until }) => <Time at={until} /> },
    { title: "Approved by", cell: (decision) => <DecidedBy decision={decision} /> },
    { title: "Reason", cell: ({ reason }) => <Untrusted text={reason} /> },
    {
      title: "Do",
      cell: (decision) => (
        <div class="actions">
          <a class="button" href={approvalAddress(decision.id)}>
            Review
          </a>
          <EndAccess access={decision} onDone={approvals.reload} />
        </div>
      ),
    },
  ];
  return (
    <>
      <div class="actions">
        <button type="button" onClick={approvals.reload}>
          Reload
        </button>
      </div>
      <Show loaded={approvals}>
        {({ active }) => (
          <Table
            caption="Active grants"
            columns={columns}
            items={active}
            keyOf={({ id, at }) => `${id} ${at}`}
            empty="No grant is active. The audit database may be a few seconds behind."
          />
        )}
      </Show>
    </>
  );
}

function DecidedBy({ decision }: { readonly decision: AccessDecision }): JSX.Element {
  const { by, at, selfApproved } = decision;
  return (
    <>
      <Untrusted text={by} /> {selfApproved && <span class="tag bad">their own</span>}
      <small class="block">
        <Time at={at} />
      </small>
    </>
  );
}

const DECIDED_COLUMNS: readonly Column<AccessDecision>[] = [
  { title: "When", cell: ({ at }) => <Time at={at} /> },
  { title: "Person", cell: ({ user }) => <PersonLink user={user} /> },
  { title: "Grant", cell: (decision) => <AccessLink access={decision} /> },
  {
    title: "Decision",
    cell: (decision) => <span class={`tag ${decisionTone(decision)}`}>{decisionLabel(decision)}</span>,
  },
  { title: "By", cell: ({ by }) => <Untrusted text={by} /> },
  { title: "Reason", cell: ({ reason }) => <Untrusted text={reason} /> },
  { title: "Until", cell: ({ until }) => <Time at={until} /> },
];

function Decided(): JSX.Element {
  const approvals = useCall("GET /-/approvals", { query: { state: "decided" } });
  return (
    <Show loaded={approvals}>
      {({ decided }) => (
        <>
          <p class="hint">
            The last 100 decisions. Requests themselves are shown for a week.
            {isAuditor() && (
              <>
                {" Earlier ones: "}
                <a href={pageAddress("/questions/access-decided")}>Who asked for access, and who decided?</a>
              </>
            )}
          </p>
          <Table
            caption="Decisions"
            columns={DECIDED_COLUMNS}
            items={decided}
            keyOf={({ id, at, by }) => `${id} ${at} ${by}`}
            empty="Nothing was decided yet."
          />
        </>
      )}
    </Show>
  );
}

function MyAccess(): JSX.Element {
  const access = useCall("GET /-/access");
  useAccessChanges(access.refresh);
  return (
    <Show loaded={access}>
      {({ grants, items }) => (
        <>
          <MyGrants grants={grants} />
          <MyRequests items={items} reload={access.reload} />
        </>
      )}
    </Show>
  );
}

function MyGrants({ grants }: { readonly grants: readonly AvailableGrant[] }): JSX.Element {
  const { route } = useLocation();
  const columns: readonly Column<AvailableGrant>[] = [
    { title: "Grant", cell: ({ name }) => <DocumentLink part="grant" name={name} /> },
    { title: "Gives", cell: (grant) => <Gives {...grant} /> },
    {
      title: "Approved by",
      cell: ({ approvers, count, selfApproval }) =>
        selfApproval ? (
          "yourself, with an alert"
        ) : (
          <>
            {count > 1 && `${count} of `}
            <Untrusted text={approvers} />
          </>
        ),
    },
    { title: "At most", cell: ({ maxMinutes }) => `${maxMinutes} min`, isNumber: true },
    {
      title: "Do",
      cell: (grant) => <AskForGrant grant={grant} onAsked={(id) => route(approvalAddress(id))} />,
    },
  ];
  return (
    <section aria-labelledby="ask">
      <h2 id="ask">Ask for access</h2>
      <Table
        caption="Grants that you may ask for"
        columns={columns}
        items={grants}
        keyOf={({ name }) => name}
        empty="The configuration has no grant that you may ask for."
      />
    </section>
  );
}

function MyRequests({
  items,
  reload,
}: {
  readonly items: readonly AccessRequest[];
  readonly reload: () => void;
}): JSX.Element {
  const columns: readonly Column<AccessRequest>[] = [
    { title: "Asked", cell: ({ requestedAt }) => <Time at={requestedAt} /> },
    { title: "Grant", cell: (request) => <AccessLink access={request} /> },
    { title: "State", cell: (request) => <AccessState request={request} /> },
    { title: "Your reason", cell: ({ reason }) => <Untrusted text={reason} /> },
    { title: "Until", cell: ({ until }) => <Time at={until} /> },
    {
      title: "Do",
      cell: (request) => isOpen(request) && <EndAccess access={request} onDone={reload} />,
    },
  ];
  return (
    <section aria-labelledby="mine">
      <h2 id="mine">My requests</h2>
      <Table
        caption="My requests"
        columns={columns}
        items={items}
        keyOf={({ id }) => id}
        empty="You asked for nothing in the last days."
      />
    </section>
  );
}
