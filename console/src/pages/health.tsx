/** Health: how the parts of Sallyport are, and what to do where one is not well. */
import type { ComponentChildren, JSX } from "preact";
import { pageAddress } from "../address.ts";
import { call } from "../api/client.ts";
import type { SystemHealth, Webhooks } from "../api/endpoints.ts";
import { useCall } from "../api/use-call.ts";
import { countSessions, countWaiting, drainBody, drainFields, type Finding, findingsOf, type Tone } from "../health.ts";
import { isAdmin, me } from "../me.ts";
import { CommandButton } from "../ui/confirm.tsx";
import { Fact } from "../ui/facts.tsx";
import { reasonOf } from "../ui/form.ts";
import { formatBytes } from "../ui/format.ts";
import { Failure, Show } from "../ui/loading.tsx";
import { sessionAddress } from "../ui/session.tsx";
import { Time } from "../ui/time.tsx";
import { Untrusted } from "../ui/untrusted.tsx";

export function HealthPage(): JSX.Element {
  const health = useCall("GET /-/admin/health");
  const webhooks = useCall("GET /-/admin/webhooks");
  const again = () => {
    health.reload();
    webhooks.reload();
  };
  return (
    <>
      <div class="actions">
        <button type="button" onClick={again}>
          Check again
        </button>
      </div>
      <Show loaded={health}>
        {(value) => {
          if (webhooks.value === undefined && webhooks.failure === undefined) return <p class="loading">Loading…</p>;
          const known = { health: value, webhooks: webhooks.value, changed: again };
          const findings = findingsOf(value, webhooks.value, Date.now());
          return (
            <>
              <Summary findings={findings} />
              {webhooks.failure && <Failure failure={webhooks.failure} retry={webhooks.reload} />}
              <div class="sections">
                {findings.map((finding) => (
                  <Part key={finding.id} finding={finding} known={known} />
                ))}
                <Versions health={value} />
              </div>
            </>
          );
        }}
      </Show>
    </>
  );
}

const TONES = {
  good: { label: "well", tag: "good" },
  look: { label: "look at it", tag: "warn" },
  act: { label: "act now", tag: "bad" },
  unknown: { label: "not known", tag: "warn" },
  off: { label: "not in use", tag: "quiet" },
} as const satisfies Record<Tone, { readonly label: string; readonly tag: string }>;

function Summary({ findings }: { readonly findings: readonly Finding[] }): JSX.Element {
  const notWell = findings.filter(({ tone }) => tone !== "good" && tone !== "off");
  return (
    <p class="lead" role="status">
      {notWell.length === 0 ? (
        "Everything is well."
      ) : (
        <>
          To look at:{" "}
          {notWell.map(({ id, title }, index) => (
            <>
              {index > 0 && ", "}
              <a key={id} href={`#${id}`}>
                {title}
              </a>
            </>
          ))}
        </>
      )}
    </p>
  );
}

interface Known {
  readonly health: SystemHealth;
  readonly webhooks: Webhooks | undefined;
  /** To be called after a command. */
  readonly changed: () => void;
}

function Part({ finding, known }: { readonly finding: Finding; readonly known: Known }): JSX.Element {
  const { id, title, tone, says, todo, runbook } = finding;
  const { label, tag } = TONES[tone];
  return (
    <section class="card" aria-labelledby={id}>
      <div class="heading">
        <h2 id={id}>{title}</h2>
        <span class={`tag ${tag}`}>{label}</span>
      </div>
      <p>{says}</p>
      {todo !== undefined && (
        <p>
          <strong>What to do:</strong> {todo}
          {runbook !== undefined && ` More in docs/RUNBOOK.md: “${runbook}”.`}
        </p>
      )}
      {PARTS[id](known)}
    </section>
  );
}

/** What there is to see of each part. */
const PARTS: Readonly<Record<Finding["id"], (known: Known) => ComponentChildren>> = {
  sessions: ({ health: { drain, live }, changed }) => (
    <>
      <dl class="facts">
        {drain?.draining && (
          <>
            <Fact name="Until">
              <Time at={drain.until} />
            </Fact>
            <Fact name="Since">
              <Time at={drain.since} />
            </Fact>
            <Fact name="By">
              <Untrusted text={drain.by} />
            </Fact>
            <Fact name="Reason">
              <Untrusted text={drain.reason} />
            </Fact>
          </>
        )}
        {live && (
          <Fact name="Open now">
            <a href={pageAddress("/live")}>{countSessions(live.sessions)}</a>
            {!live.complete && ", and maybe more: the directory has just restarted"}
          </Fact>
        )}
      </dl>
      {isAdmin() && drain !== null && <DrainCommands drain={drain} changed={changed} />}
    </>
  ),
  delivery: ({ health: { objects, database } }) => (
    <dl class="facts">
      {objects !== null && objects.undeliveredSince !== null && (
        <Fact name="Oldest that waits">
          <Time at={objects.undeliveredSince} />
        </Fact>
      )}
      {database && (
        <Fact name="Newest event">
          <Time at={database.newestAt} />
        </Fact>
      )}
    </dl>
  ),
  database: ({ health: { database, keepMonths } }) =>
    database && (
      <dl class="facts">
        <Fact name="Size">
          {formatBytes(database.bytes)} of {formatBytes(database.maxBytes)}
        </Fact>
        <Fact name="Grows by">
          {database.eventsPerDay === null
            ? "too few events to tell"
            : `${database.eventsPerDay} events, ${formatBytes(database.bytesPerDay)} a day`}
        </Fact>
        {database.eventsPerDay !== null && (
          <Fact name="Full at this rate">
            {database.fullAt === null ? "not within 100 years" : <Time at={database.fullAt} />}
          </Fact>
        )}
        <Fact name="Sealed rows leave">{keepMonths === null ? "never" : `after ${keepMonths} months`}</Fact>
      </dl>
    ),
  chain: ({ health: { recentChain } }) =>
    recentChain && (
      <>
        {recentChain.broken.length > 0 && (
          <ul>
            {recentChain.broken.map(({ sessionId, seq }) => (
              <li key={`${sessionId} ${seq}`}>
                Event {seq} of{" "}
                <a href={sessionAddress(sessionId)}>
                  <Untrusted text={sessionId} />
                </a>
              </li>
            ))}
          </ul>
        )}
        <p class="hint">
          To check the whole log, and whether all of it was rewritten, run{" "}
          <code>npx sallyport audit-verify --remote</code>.
        </p>
      </>
    ),
  seals: ({ health: { seal, unsealed } }) =>
    (seal || unsealed) && (
      <dl class="facts">
        {seal && (
          <>
            <Fact name="Last seal">
              {seal.month}, made <Time at={seal.sealedAt} />
            </Fact>
            <Fact name="Newer events">{seal.unsealedRows}</Fact>
          </>
        )}
        {unsealed && (
          <Fact name="Oldest event without a seal">
            <Time at={unsealed.oldestAt} />
          </Fact>
        )}
      </dl>
    ),
  export: ({ health: { export: exported } }) =>
    exported?.enabled && (
      <dl class="facts">
        {exported.tables.map(({ table, waiting, oldestWaiting, lastObject, error }) => (
          <Fact key={table} name={table}>
            {waiting === 0 ? "nothing waits" : countWaiting(waiting, "row")}
            {oldestWaiting !== null && (
              <>
                {", since "}
                <Time at={oldestWaiting} />
              </>
            )}
            {lastObject !== null && (
              <>
                <br />
                <small>
                  last object <Untrusted text={lastObject} />
                </small>
              </>
            )}
            {error && (
              <>
                <br />
                stopped at <Time at={error.at} />: <Untrusted text={error.message} />
              </>
            )}
          </Fact>
        ))}
      </dl>
    ),
  webhooks: ({ webhooks }) =>
    webhooks && (
      <>
        {webhooks.faults.length > 0 && (
          <ul>
            {webhooks.faults.map((fault) => (
              <li key={fault}>
                <Untrusted text={fault} />
              </li>
            ))}
          </ul>
        )}
        {webhooks.destinations.length > 0 && (
          <dl class="facts">
            {webhooks.destinations.map(({ name, format, waiting, failures, dropped }) => (
              <Fact key={name} name={name}>
                {format}, {countWaiting(waiting, "notification")}, {failures} failed in a row, {dropped} dropped
              </Fact>
            ))}
          </dl>
        )}
      </>
    ),
};

interface DrainProps {
  readonly drain: NonNullable<SystemHealth["drain"]>;
  readonly changed: () => void;
}

/** Refuses new sessions until a time, or opens them again. */
function DrainCommands({ drain, changed }: DrainProps): JSX.Element {
  const isDraining = drain.draining;
  const begin = drainFields(drain, Date.now());
  return (
    <div class="actions">
      <CommandButton
        title={isDraining ? "Change end or reason" : "Refuse new sessions"}
        isDangerous={!isDraining}
        run={(form) => call("PUT /-/admin/drain", { body: drainBody(form, drain) })}
        done="New sessions are refused."
        onDone={changed}
        fields={
          <label>
            Until, at most 24 hours from now
            <input name="until" type="datetime-local" required defaultValue={begin.until} />
          </label>
        }
        presentReason={begin.reason}
      >
        <p>
          Refuses new sessions of everybody, within seconds. Whoever is refused reads the reason. Open sessions and API
          requests go on: to keep one person out, lock them.
        </p>
      </CommandButton>
      {isDraining && (
        <CommandButton
          title="Open sessions again"
          run={(form) => call("DELETE /-/admin/drain", { body: reasonOf(form) })}
          done="Sessions open again."
          onDone={changed}
        >
          <p>New sessions open again within seconds.</p>
        </CommandButton>
      )}
    </div>
  );
}

function Versions({ health: { version, objects } }: { readonly health: SystemHealth }): JSX.Element {
  return (
    <section class="card" aria-labelledby="versions">
      <div class="heading">
        <h2 id="versions">Versions</h2>
      </div>
      <dl class="facts">
        <Fact name="Edge">
          <Untrusted text={version} />
        </Fact>
        <Fact name="Objects">{objects === null ? "not known" : <Untrusted text={objects.version} />}</Fact>
        <Fact name="This host's cluster">
          <Untrusted text={me.value?.cluster ?? null} />
        </Fact>
      </dl>
      <p class="hint">
        Cloudflare's ids of what is deployed. A local stack has none. Objects with open sessions may run older code.
      </p>
    </section>
  );
}
