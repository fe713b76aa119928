/** One session: facts, what was on screen, what happened, and whether its log is as it was written. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { commandLine } from "../../../common/shell.ts";
import type { SessionDetail, SessionEvent } from "../api/endpoints.ts";
import { useCall } from "../api/use-call.ts";
import {
  type ChainFault,
  type Link,
  type NeighbourLinks,
  verifyEvents,
  verifyNeighbours,
  webCryptoDigest,
} from "../chain/verify.ts";
import { isAdmin, isAuditor, mayEnd } from "../me.ts";
import { LivePlayer, RecordingPlayer } from "../player/player.tsx";
import { AccessLink } from "../ui/access.tsx";
import { announce } from "../ui/announce.tsx";
import { EndSession, LockPerson, SendMessage } from "../ui/commands.tsx";
import { Fact } from "../ui/facts.tsx";
import { formatBytes, formatDuration } from "../ui/format.ts";
import { Show } from "../ui/loading.tsx";
import { DocumentLink, DocumentLinks } from "../ui/rule.tsx";
import { outcomeLabel, PersonLink, SessionState, sessionAddress } from "../ui/session.tsx";
import { Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { useTitle } from "../ui/title.ts";
import { Untrusted, UntrustedCode } from "../ui/untrusted.tsx";
import { visibleJson, visibleText } from "../ui/visible-text.ts";
import type { PageProps } from "./page.ts";

export function SessionPage({ params }: PageProps): JSX.Element {
  const id = params["id"] ?? "";
  const endpoint = isAuditor() ? "GET /-/admin/sessions/{id}" : "GET /-/sessions/{id}";
  const session = useCall(endpoint, { params: { id } });
  return <Show loaded={session}>{(detail) => <Session session={detail} reload={session.reload} />}</Show>;
}

function Session({ session, reload }: { readonly session: SessionDetail; readonly reload: () => void }): JSX.Element {
  const { id, user, namespace, pod, state, recordingMode } = session;
  const isLive = state === "live";
  useTitle(`${namespace}/${pod}`, "Session");
  const ended = () => {
    announce("The session has ended.");
    reload();
  };
  return (
    <>
      <p class="lead">
        <SessionState session={session} /> <PersonLink user={user} /> in <Untrusted text={`${namespace}/${pod}`} />
      </p>
      <div class="actions">
        {isLive && mayEnd(user) && <EndSession session={session} onDone={reload} />}
        {isLive && session.tty && isAdmin() && <SendMessage session={session} />}
        {isAdmin() && <LockPerson user={user} onDone={reload} />}
        <button type="button" onClick={reload}>
          Reload
        </button>
      </div>
      {recordingMode !== "off" && !isAuditor() && <p class="hint">Auditors and administrators see its recording.</p>}
      {recordingMode === "off" && <p class="hint">Nothing of this session was recorded.</p>}
      {recordingMode !== "off" && isLive && isAuditor() && (
        <section aria-labelledby="screen">
          <h2 id="screen">On screen now</h2>
          <p class="hint">Your watching is in the audit log.</p>
          <LivePlayer id={id} onEnded={ended} />
        </section>
      )}
      {hasPlayer(session) && <RecordingPlayer id={id} />}
      <Facts session={session} />
      <Forwards session={session} />
      <Approvals session={session} />
      {session.events === null ? (
        <p class="hint">The audit database does not answer, so the session's events are not shown: reload later.</p>
      ) : (
        <Events session={session} events={session.events} />
      )}
    </>
  );
}

/** Whether the page plays a recording. */
function hasPlayer({ state, recording, recordingMode }: SessionDetail): boolean {
  return isAuditor() && state !== "live" && recording !== null && recordingMode !== "off";
}

function Facts({ session }: { readonly session: SessionDetail }): JSX.Element {
  const { startedAt, endedAt, outcome, reason, endedBy, bytesIn, bytesOut, recording, recordingMode } = session;
  const recorded = recording === null ? recordingMode : `${recording}, ${formatBytes(session.recordingBytes)}`;
  return (
    <section aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl class="facts card">
        <Fact name="Started">
          <Time at={startedAt} />
        </Fact>
        <Fact name="Ended">
          <Time at={endedAt} />
          {endedAt !== null && `, after ${formatDuration(Date.parse(endedAt) - Date.parse(startedAt))}`}
        </Fact>
        {outcome !== null && (
          <Fact name="How">
            {outcomeLabel(outcome)} {session.exitCode !== null && `with ${session.exitCode}`}
            {reason !== null && (
              <>
                {": "}
                <Untrusted text={reason} />
              </>
            )}
            {endedBy !== null && (
              <>
                {" by "}
                <Untrusted text={endedBy} />
              </>
            )}
          </Fact>
        )}
        <Fact name="Person">
          <PersonLink user={session.user} />
        </Fact>
        <Fact name="In the cluster as">
          <Untrusted text={session.kubernetesUser} />
          {session.kubernetesGroups.length > 0 && (
            <>
              {", groups "}
              <Untrusted text={session.kubernetesGroups.join(", ")} />
            </>
          )}
        </Fact>
        <Fact name="Cluster">
          <Untrusted text={session.cluster} />
        </Fact>
        <Fact name="Where">
          <Untrusted text={`${session.namespace}/${session.pod}`} />
          {session.container !== null && (
            <>
              {", container "}
              <Untrusted text={session.container} />
            </>
          )}
        </Fact>
        <Fact name="What">
          {session.kind} {session.command.length > 0 && <UntrustedCode text={commandLine(session.command)} />}
          {session.tty && " in a terminal"}
          {session.ports.length > 0 && ` to ports ${session.ports.join(", ")}`}
        </Fact>
        <Fact name="Stated reason">
          <Untrusted text={session.accessReason} />
        </Fact>
        <Fact name="Allowed by rule">
          <DocumentLink part="rule" name={session.rule} cluster={session.cluster} />
        </Fact>
        <Fact name="From">
          <Untrusted text={session.clientAddress} /> {session.country !== null && `(${visibleText(session.country)})`}
        </Fact>
        <Fact name="Signed in by">
          <Untrusted text={session.signIn} />
        </Fact>
        <Fact name="Device">
          <Untrusted text={session.deviceId} />
        </Fact>
        <Fact name="Client">
          <Untrusted text={session.userAgent} />
        </Fact>
        <Fact name="Traffic">
          {formatBytes(bytesIn)} in, {formatBytes(bytesOut)} out
        </Fact>
        <Fact name="Recording">{recorded}</Fact>
        <Fact name="Session id">
          <code>{session.id}</code>
        </Fact>
      </dl>
    </section>
  );
}

function Forwards({ session: { forwards } }: { readonly session: SessionDetail }): JSX.Element | null {
  if (forwards === null || forwards.length === 0) return null;
  return (
    <section aria-labelledby="ports">
      <h2 id="ports">Ports</h2>
      <Table
        caption="Ports that were reached"
        items={forwards}
        keyOf={({ port }) => String(port)}
        columns={[
          { title: "Port", cell: ({ port }) => port ?? "others" },
          { title: "Connections", cell: ({ connections }) => connections, isNumber: true },
          { title: "In", cell: ({ bytesIn }) => formatBytes(bytesIn), isNumber: true },
          { title: "Out", cell: ({ bytesOut }) => formatBytes(bytesOut), isNumber: true },
          {
            title: "Errors",
            cell: ({ errors, firstError }) =>
              errors === 0 ? 0 : <Untrusted text={`${errors}: ${firstError ?? ""}`} />,
          },
        ]}
        empty="No port was reached."
      />
    </section>
  );
}

function Approvals({ session: { grants, approvals } }: { readonly session: SessionDetail }): JSX.Element | null {
  if ((grants ?? []).length === 0 && (approvals ?? []).length === 0) return null;
  return (
    <section aria-labelledby="approvals">
      <h2 id="approvals">Access for a while</h2>
      <p>
        {grants === null ? (
          "The session waited for an approval, and went on with it."
        ) : (
          <>
            Grants that the session was opened with: <DocumentLinks part="grant" names={grants} />
          </>
        )}
      </p>
      <Table
        caption="What was decided about them"
        items={approvals ?? []}
        keyOf={({ id, at }) => `${id} ${at}`}
        columns={[
          { title: "Request", cell: (decision) => <AccessLink access={decision} /> },
          { title: "Decision", cell: ({ decision }) => decision },
          { title: "By", cell: ({ by }) => <Untrusted text={by} /> },
          { title: "At", cell: ({ at }) => <Time at={at} /> },
          { title: "Reason", cell: ({ reason }) => <Untrusted text={reason} /> },
          { title: "Until", cell: ({ until }) => <Time at={until} /> },
        ]}
        empty="The audit database has no decision about them."
      />
    </section>
  );
}

function Events({
  session,
  events,
}: {
  readonly session: SessionDetail;
  readonly events: readonly SessionEvent[];
}): JSX.Element {
  const began = Date.parse(session.startedAt);
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">What happened</h2>
      <ol class="timeline card">
        {events.map((event) => (
          <li key={event.seq} id={`event-${event.seq}`}>
            <strong>{event.type}</strong> <Time at={event.at} />{" "}
            <small>+{formatDuration(Date.parse(event.at) - began)}</small>
            {hasPlayer(session) && (
              <>
                {" "}
                <a href={sessionAddress(session.id, { at: event.at })}>Show on screen</a>
              </>
            )}
            <details>
              <summary>Fields</summary>
              <pre>
                <bdi>{visibleJson(event.data)}</bdi>
              </pre>
              <p>
                <small>
                  Hash <code>{event.hash}</code>
                </small>
              </p>
            </details>
          </li>
        ))}
      </ol>
      <ChainCheck session={session} events={events} />
    </section>
  );
}

/** Checks the events as this page has them, by this browser alone. */
function ChainCheck({
  session,
  events,
}: {
  readonly session: SessionDetail;
  readonly events: readonly SessionEvent[];
}): JSX.Element {
  const [faults, setFaults] = useState<readonly ChainFault[]>();
  useEffect(() => {
    let isGone = false;
    void verifyEvents(session.id, events, webCryptoDigest).then((found) => {
      if (!isGone) setFaults(found);
    });
    return () => {
      isGone = true;
    };
  }, [session.id, events]);
  return (
    <div class="card" role="status">
      <h3>Is the log as it was written?</h3>
      {faults === undefined && <p class="loading">Checking in this browser…</p>}
      {faults?.length === 0 && (
        <p>
          <span class="tag good">unchanged</span> The hashes of all {events.length} events hold, and each follows the
          one before it. This browser computed them.
        </p>
      )}
      {faults !== undefined && faults.length > 0 && (
        <>
          <p>
            <span class="tag bad">changed</span> This session's log is not as it was written. Keep it as it is, and run{" "}
            <code>npx sallyport audit-verify</code>.
          </p>
          <ul>
            {faults.map(({ seq, message }, index) => (
              <li key={index}>
                <a href={`#event-${seq}`}>Event {seq}</a>: {message}
              </li>
            ))}
          </ul>
        </>
      )}
      {isAuditor() && <Neighbours id={session.id} />}
      <p class="hint">
        To check that nobody rewrote the whole log, run <code>npx sallyport audit-verify</code>.
      </p>
    </div>
  );
}

/** Checks that the session is where it was in its object's log: after the event before it, before the next one. */
function Neighbours({ id }: { readonly id: string }): JSX.Element {
  const chain = useCall("GET /-/admin/sessions/{id}/chain", { params: { id } });
  const [links, setLinks] = useState<NeighbourLinks>();
  const { value } = chain;
  useEffect(() => {
    let isGone = false;
    if (value) {
      void verifyNeighbours(value, webCryptoDigest).then((found) => {
        if (!isGone) setLinks(found);
      });
    }
    return () => {
      isGone = true;
    };
  }, [value]);
  return (
    <Show loaded={chain}>
      {() => (
        <ul>
          {links && <li>Before it: {LINKS[links.previous]}</li>}
          {links && <li>After it: {LINKS[links.next]}</li>}
        </ul>
      )}
    </Show>
  );
}

const LINKS = {
  holds: "the log's entry next to it is the one that it is chained to.",
  broken: "the log's entry next to it is not the one that it is chained to. Something is missing or was changed.",
  edge: "nothing. It is the first of its log.",
  unknown: "no entry that it is chained to was found near it.",
} as const satisfies Record<Link, string>;
