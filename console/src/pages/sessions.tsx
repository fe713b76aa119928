/** Sessions, live and past: who was where, by every filter of the audit log. Who has no role sees their own. */
import type { JSX } from "preact";
import type { Session } from "../api/endpoints.ts";
import { useCall } from "../api/use-call.ts";
import { isAuditor } from "../me.ts";
import { ExportButtons } from "../ui/export.tsx";
import type { Filter } from "../ui/filter.ts";
import { Filters, useFilterQuery } from "../ui/filters.tsx";
import { formatDuration } from "../ui/format.ts";
import { Show } from "../ui/loading.tsx";
import { OUTCOMES, PersonLink, SessionLink, SessionPurpose, SessionState } from "../ui/session.tsx";
import { type Column, Pager, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { Untrusted } from "../ui/untrusted.tsx";

const KINDS = ["exec", "attach", "port-forward", "proxy", "console", "vnc", "usbredir", "vsock", "vm-port-forward"];
const asChoices = (values: readonly string[]) => values.map((value) => ({ value, label: value.replaceAll("_", " ") }));

const STATE = { name: "state", label: "State", choices: asChoices(["live", "ended"]) } as const satisfies Filter;
const SINCE = { name: "since", label: "Started since", isTime: true } as const satisfies Filter;
const UNTIL = { name: "until", label: "Started before", isTime: true } as const satisfies Filter;

const OWN_FILTERS = [STATE, SINCE, UNTIL] as const;
const FILTERS = [
  { name: "user", label: "Person" },
  { name: "cluster", label: "Cluster" },
  { name: "namespace", label: "Namespace" },
  { name: "pod", label: "Pod" },
  { name: "kind", label: "Kind", choices: asChoices(KINDS) },
  STATE,
  { name: "outcome", label: "Outcome", choices: asChoices(OUTCOMES) },
  {
    name: "recorded",
    label: "Recorded",
    choices: [
      { value: "true", label: "yes" },
      { value: "false", label: "no" },
    ],
  },
  { name: "rule", label: "Rule" },
  SINCE,
  UNTIL,
] as const satisfies readonly Filter[];

const COLUMNS: readonly Column<Session>[] = [
  { title: "Started", cell: ({ startedAt }) => <Time at={startedAt} /> },
  { title: "Person", cell: ({ user }) => <PersonLink user={user} /> },
  { title: "Cluster", cell: ({ cluster }) => <Untrusted text={cluster} /> },
  { title: "Where", cell: (session) => <SessionLink session={session} /> },
  { title: "What", cell: (session) => <SessionPurpose session={session} /> },
  { title: "Length", cell: (session) => lengthOf(session), isNumber: true },
  { title: "End", cell: (session) => <SessionState session={session} /> },
  { title: "Recorded", cell: (session) => recordedOf(session) ?? <span class="none">no</span> },
];

/** What there is of its recording, which a live session has none of yet. Null: nothing. */
function recordedOf({ state, recording, recordingMode }: Session): string | null {
  return state === "live" && recordingMode !== "off" ? "in progress" : recording;
}

function lengthOf({ startedAt, endedAt }: Session): string {
  return formatDuration((endedAt === null ? Date.now() : Date.parse(endedAt)) - Date.parse(startedAt));
}

export function SessionsPage(): JSX.Element {
  return isAuditor() ? <EverybodysSessions /> : <OwnSessions />;
}

function EverybodysSessions(): JSX.Element {
  const query = useFilterQuery(FILTERS);
  const page = useCall("GET /-/admin/sessions", { query });
  return (
    <>
      <Filters filters={FILTERS} hasRanges>
        <ExportButtons endpoint="GET /-/admin/sessions" parts={{ query }} name="sessions" />
      </Filters>
      <Show loaded={page}>
        {({ items, complete, next }) => (
          <>
            {!complete && <p class="hint">The audit database does not answer: this list may lack live sessions.</p>}
            <SessionTable sessions={items} columns={COLUMNS} />
            <Pager next={next} />
          </>
        )}
      </Show>
    </>
  );
}

function OwnSessions(): JSX.Element {
  const query = useFilterQuery(OWN_FILTERS);
  const page = useCall("GET /-/sessions", { query: { ...query, state: query["state"] || "all" } });
  return (
    <>
      <p class="hint">Your own sessions.</p>
      <Filters filters={OWN_FILTERS} hasRanges />
      <Show loaded={page}>
        {({ items, next }) => (
          <>
            <SessionTable sessions={items} columns={COLUMNS.filter(({ title }) => title !== "Person")} />
            <Pager next={next} />
          </>
        )}
      </Show>
    </>
  );
}

interface SessionTableProps {
  readonly sessions: readonly Session[];
  readonly columns: readonly Column<Session>[];
}

function SessionTable({ sessions, columns }: SessionTableProps): JSX.Element {
  return (
    <Table
      caption="Sessions"
      columns={columns}
      items={sessions}
      keyOf={({ id }) => id}
      empty="No session matches these filters. Choose a longer time, or clear them."
    />
  );
}
