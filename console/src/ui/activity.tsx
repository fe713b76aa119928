/** What somebody did, sessions and API requests in one list. */
import type { JSX } from "preact";
import type { Activity, ApiRequest } from "../api/endpoints.ts";
import { outcomeTag, requestObject, requestPurpose } from "../requests.ts";
import { formatDuration } from "./format.ts";
import { DocumentLink } from "./rule.tsx";
import { SessionLink, SessionPurpose, SessionState } from "./session.tsx";
import { type Column, Table } from "./table.tsx";
import { Time } from "./time.tsx";
import { Untrusted, UntrustedCode } from "./untrusted.tsx";

const COLUMNS: readonly Column<Activity>[] = [
  { title: "When", cell: ({ at }) => <Time at={at} /> },
  { title: "What", cell: (activity) => <What activity={activity} /> },
  { title: "Where", cell: (activity) => <Where activity={activity} /> },
  {
    title: "Cluster",
    cell: ({ session, request }) => <Untrusted text={session?.cluster ?? request?.cluster ?? null} />,
  },
  { title: "Result", cell: (activity) => <Result activity={activity} /> },
  {
    title: "Rule",
    cell: ({ session, request }) => (
      <DocumentLink
        part="rule"
        name={session?.rule ?? request?.rule ?? null}
        cluster={session?.cluster ?? request?.cluster}
      />
    ),
  },
];

/** @param empty what it means that there is nothing */
export function ActivityTable({
  items,
  caption,
  empty,
}: {
  readonly items: readonly Activity[];
  readonly caption: string;
  readonly empty: string;
}): JSX.Element {
  const keyOf = ({ session, request, at }: Activity) => session?.id ?? request?.id ?? at;
  return <Table caption={caption} columns={COLUMNS} items={items} keyOf={keyOf} empty={empty} />;
}

/** The same as a list, for a narrow place. */
export function ActivityList({ items, empty }: { readonly items: readonly Activity[]; readonly empty: string }) {
  if (items.length === 0) return <p class="hint">{empty}</p>;
  return (
    <ol class="timeline">
      {items.map((activity) => (
        <li key={activity.session?.id ?? activity.request?.id}>
          <Time at={activity.at} />
          <div>
            <What activity={activity} /> <Where activity={activity} /> <Result activity={activity} />
          </div>
        </li>
      ))}
    </ol>
  );
}

function What({ activity: { session, request } }: { readonly activity: Activity }): JSX.Element {
  if (session) return <SessionPurpose session={session} />;
  if (!request) return <span class="none">–</span>;
  return <UntrustedCode text={requestPurpose(request)} />;
}

function Where({ activity: { session, request } }: { readonly activity: Activity }): JSX.Element {
  if (session) return <SessionLink session={session} />;
  return <Untrusted text={request ? requestObject(request) : null} />;
}

function Result({ activity: { session, request } }: { readonly activity: Activity }): JSX.Element {
  if (session) {
    const { startedAt, endedAt } = session;
    return (
      <>
        <SessionState session={session} />{" "}
        {endedAt !== null && <small>{formatDuration(Date.parse(endedAt) - Date.parse(startedAt))}</small>}
      </>
    );
  }
  return request ? <RequestResult request={request} /> : <span class="none">–</span>;
}

function RequestResult({ request }: { readonly request: ApiRequest }): JSX.Element {
  const { tone, text } = outcomeTag(request);
  return (
    <span>
      <span class={`tag ${tone}`}>{text}</span> {request.count > 1 && <small>{request.count} times</small>}
      {request.refusal !== null && (
        <small class="block">
          <Untrusted text={request.reason} />
        </small>
      )}
    </span>
  );
}
