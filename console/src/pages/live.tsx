/** Live: who is where now. The directory's stream tells it, also while the audit database does not answer. */
import type { JSX } from "preact";
import { useAddressState } from "../address.ts";
import type { Session } from "../api/endpoints.ts";
import { useLive } from "../api/use-live.ts";
import { idleMs, type LiveRecord } from "../live.ts";
import { isAdmin, mayEnd } from "../me.ts";
import { announce } from "../ui/announce.tsx";
import { EndSession, LockPerson } from "../ui/commands.tsx";
import { formatBytes, formatDuration } from "../ui/format.ts";
import { ShowLive } from "../ui/live.tsx";
import { PersonLink, SessionLink, SessionPurpose, sessionAddress } from "../ui/session.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Untrusted } from "../ui/untrusted.tsx";
import { useNow } from "../ui/use-now.ts";

export function LivePage(): JSX.Element {
  const live = useLive(announceEnds);
  const now = useNow();
  const address = useAddressState();
  const wanted = address.get("user").toLowerCase();
  const sessions = live.state.sessions.filter(({ user }) => user.includes(wanted));
  const people = new Set(sessions.map(({ user }) => user)).size;
  return (
    <>
      <search aria-label="Filters" class="filters">
        <label>
          Person
          <input
            name="user"
            value={address.get("user")}
            autoComplete="off"
            spellcheck={false}
            onInput={({ currentTarget }) => address.set({ user: currentTarget.value.trim() }, true)}
          />
        </label>
      </search>
      <ShowLive live={live}>
        <p>
          {sessions.length} {sessions.length === 1 ? "session" : "sessions"} of {people}{" "}
          {people === 1 ? "person" : "people"}. Updated as it happens.
        </p>
        <Table
          caption="Live sessions"
          columns={columnsAt(now)}
          items={sessions}
          keyOf={({ id }) => id}
          empty={wanted === "" ? "Nobody has a session now." : "Nobody of this name has a session now."}
        />
      </ShowLive>
    </>
  );
}

function announceEnds(record: LiveRecord): void {
  if (record.type === "ended") announce(record.ids.length === 1 ? "A session has ended." : "Sessions have ended.");
}

function columnsAt(now: number): readonly Column<Session>[] {
  return [
    { title: "Person", cell: ({ user }) => <PersonLink user={user} /> },
    { title: "Cluster", cell: ({ cluster }) => <Untrusted text={cluster} /> },
    { title: "Where", cell: (session) => <SessionLink session={session} /> },
    { title: "What", cell: (session) => <SessionPurpose session={session} /> },
    { title: "For", cell: ({ startedAt }) => formatDuration(now - Date.parse(startedAt)), isNumber: true },
    { title: "Now", cell: (session) => <Activity session={session} now={now} /> },
    { title: "Out", cell: ({ bytesOut }) => formatBytes(bytesOut), isNumber: true },
    { title: "Do", cell: (session) => <Commands session={session} /> },
  ];
}

function Activity({ session, now }: { readonly session: Session; readonly now: number }): JSX.Element {
  if (session.waitsFor !== null) return <span class="tag warn">waits for {WAITS_FOR[session.waitsFor]}</span>;
  const idle = idleMs(session, now);
  if (idle === undefined) return <span class="tag good">active</span>;
  return <span class="tag quiet">idle {formatDuration(idle)}</span>;
}

const WAITS_FOR = { approval: "an approval", watcher: "a watcher" } as const satisfies Record<
  NonNullable<Session["waitsFor"]>,
  string
>;

function Commands({ session }: { readonly session: Session }): JSX.Element {
  const { id, user, recordingMode } = session;
  return (
    <div class="actions">
      {recordingMode !== "off" && (
        <a class="button" href={sessionAddress(id)}>
          Watch
        </a>
      )}
      {mayEnd(user) && <EndSession session={session} />}
      {isAdmin() && <LockPerson user={user} />}
    </div>
  );
}
