/** One person: their day across sessions and requests, what is live, a lock, their access, and why they have it. */
import type { ComponentChildren, JSX } from "preact";
import { mergeActivity } from "../activity.ts";
import { pageAddress, useAddressState } from "../address.ts";
import { useCall } from "../api/use-call.ts";
import { useLive } from "../api/use-live.ts";
import { dayBeside, dayOf, dayOfInput, inputOf, isWholeDay, type Period, readPeriod } from "../day.ts";
import { isAdmin, isAuditor, mayEnd, me } from "../me.ts";
import { documentOf } from "../rules/document.ts";
import { type PossibleIdentity, possibleIdentities } from "../rules/identity.ts";
import { identitySubject } from "../rules/words.ts";
import { AccessLink, approvalAddress, EndAccess } from "../ui/access.tsx";
import { ActivityTable } from "../ui/activity.tsx";
import { EndAllSessions, EndSession, LiftLock, LockPerson } from "../ui/commands.tsx";
import { Fact } from "../ui/facts.tsx";
import { formatDuration } from "../ui/format.ts";
import { ShowLive } from "../ui/live.tsx";
import { Failure, Show } from "../ui/loading.tsx";
import { NotForYou } from "../ui/not-for-you.tsx";
import { DocumentLink } from "../ui/rule.tsx";
import { SessionLink, SessionPurpose } from "../ui/session.tsx";
import { Pager, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { useTitle } from "../ui/title.ts";
import { Untrusted } from "../ui/untrusted.tsx";
import { useNow } from "../ui/use-now.ts";
import { Sentence } from "../ui/words.tsx";
import type { PageProps } from "./page.ts";

export function PersonPage({ params }: PageProps): JSX.Element {
  const user = (params["email"] ?? "").toLowerCase();
  useTitle(user, "People");
  if (isAuditor()) return <Person key={user} user={user} />;
  return user === me.value?.identity ? <Own user={user} /> : <NotForYou />;
}

interface OfPerson {
  readonly user: string;
}

function Person({ user }: OfPerson): JSX.Element {
  const lock = useCall("GET /-/admin/locks/{email}", { params: { email: user } });
  // That nobody is locked is no failure, and what was known before it counts no longer.
  const isUnlocked = lock.failure?.code === "not_found";
  const held = isUnlocked ? undefined : lock.value;
  return (
    <>
      <p class="lead">
        <Untrusted text={user} /> {held && <span class="tag bad">locked</span>}
      </p>
      {isAdmin() && (held || isUnlocked) && (
        <div class="actions">
          {held ? <LiftLock user={user} onDone={lock.reload} /> : <LockPerson user={user} onDone={lock.reload} />}
        </div>
      )}
      {held && (
        <section class="card" aria-label="Lock">
          <p>
            Locked by <Untrusted text={held.by} />{" "}
            {held.until === null ? (
              "until somebody lifts it"
            ) : (
              <>
                until <Time at={held.until} />
              </>
            )}
            : <Untrusted text={held.reason} />
          </p>
          {held.notReached.length > 0 && (
            <p class="hint">The lock is not yet in force at clusters near {held.notReached.join(", ")}.</p>
          )}
        </section>
      )}
      {lock.failure && !isUnlocked && <Failure failure={lock.failure} retry={lock.reload} />}
      <LiveSessions user={user} />
      <div class="halves">
        <Roles user={user} />
        <Access user={user} />
      </div>
      <Day>{(period) => <EverythingOf user={user} period={period} />}</Day>
    </>
  );
}

/** Told by the stream, also while the audit database does not answer. */
function LiveSessions({ user }: OfPerson): JSX.Element {
  const live = useLive();
  const now = useNow();
  const sessions = live.state.sessions.filter((session) => session.user === user);
  return (
    <section aria-labelledby="live">
      <h2 id="live">Live now</h2>
      <ShowLive live={live}>
        <Table
          caption="Live sessions"
          items={sessions}
          keyOf={({ id }) => id}
          columns={[
            { title: "Cluster", cell: ({ cluster }) => <Untrusted text={cluster} /> },
            { title: "Where", cell: (session) => <SessionLink session={session} /> },
            { title: "What", cell: (session) => <SessionPurpose session={session} /> },
            { title: "For", cell: ({ startedAt }) => formatDuration(now - Date.parse(startedAt)), isNumber: true },
            { title: "Do", cell: (session) => mayEnd(user) && <EndSession session={session} /> },
          ]}
          empty="They have no session now."
        />
        {sessions.length > 0 && isAdmin() && (
          <div class="actions">
            <EndAllSessions user={user} count={sessions.length} />
          </div>
        )}
      </ShowLive>
    </section>
  );
}

/** Who they are by the document, as far as their address tells, and as the log saw them last. */
function Roles({ user }: OfPerson): JSX.Element {
  const config = useCall("GET /-/admin/config");
  const seen = useCall("GET /-/admin/sessions", { query: { user, limit: 1 } });
  const last = seen.value?.items[0];
  return (
    <section aria-labelledby="roles">
      <h2 id="roles">Who they are, and why</h2>
      <div class="card">
        <Show loaded={config}>
          {(inForce) => {
            const lists = possibleIdentities(documentOf(inForce), user);
            const isRefused = lists.every(({ possible }) => possible.length === 0);
            return (
              <>
                {isRefused && <p>No identity rule can match this name: everything is refused.</p>}
                {!isRefused &&
                  lists.map((list) => (
                    <PossibleRules key={list.cluster ?? ""} list={list} isOnly={lists.length === 1} />
                  ))}
                <p class="hint">
                  The first that matches decides. What Access says of them, such as groups, is known only when they sign
                  in.
                </p>
              </>
            );
          }}
        </Show>
        {last && (
          <p>
            The cluster saw them last as <Untrusted text={last.kubernetesUser} />, groups{" "}
            <Untrusted text={last.kubernetesGroups.join(", ")} />: <Time at={last.startedAt} />
          </p>
        )}
        <a class="button" href={pageAddress("/rules/try", { as: user })}>
          What would happen if they…
        </a>
      </div>
    </section>
  );
}

/** @param isOnly whether no cluster has identities of its own */
function PossibleRules({ list, isOnly }: { readonly list: PossibleIdentity; readonly isOnly: boolean }): JSX.Element {
  const { cluster, possible } = list;
  return (
    <>
      {!isOnly && (
        <h3>
          {cluster === null ? (
            "In Sallyport, and at clusters without identities of their own"
          ) : (
            <>
              At <Untrusted text={cluster} />
            </>
          )}
        </h3>
      )}
      {possible.length === 0 && <p>No identity rule here can match this name.</p>}
      {possible.length > 0 && (
        <ol class="possible">
          {possible.map(({ rule, index, fit }) => (
            <li key={index}>
              <span class={`tag ${fit === "yes" ? "good" : "quiet"}`}>{fit === "yes" ? "matches" : "may match"}</span>{" "}
              <DocumentLink
                part={cluster === null ? "identity" : "cluster-identity"}
                name={String(index)}
                cluster={cluster}
              />
              : <Sentence words={identitySubject(rule.match)} />.{" "}
              {cluster === null && (
                <>Roles: {rule.roles.length === 0 ? "none" : <strong>{rule.roles.join(", ")}</strong>}; </>
              )}
              {cluster === null ? "groups" : "Groups"}: <Untrusted text={rule.groups.join(", ")} />
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

/** What waits for a decision, and what holds. */
function Access({ user }: OfPerson): JSX.Element {
  const approvals = useCall("GET /-/approvals", { query: { state: "all" } });
  return (
    <section aria-labelledby="access">
      <h2 id="access">Access for a while</h2>
      <Show loaded={approvals}>
        {({ pending, active }) => {
          const theirs = [...pending, ...active].filter((access) => access.user === user);
          return (
            <Table
              caption="Their requests and grants"
              items={theirs}
              keyOf={({ id }) => id}
              columns={[
                { title: "Grant", cell: (access) => <AccessLink access={access} /> },
                {
                  title: "Until",
                  cell: ({ until }) =>
                    until === null ? <span class="tag warn">waits for a decision</span> : <Time at={until} />,
                },
                {
                  title: "Do",
                  cell: (access) => (
                    <div class="actions">
                      <a class="button" href={approvalAddress(access.id)}>
                        Review
                      </a>
                      <EndAccess access={access} onDone={approvals.reload} />
                    </div>
                  ),
                },
              ]}
              empty="They wait for no approval and have no grant now."
            />
          );
        }}
      </Show>
    </section>
  );
}

/** Oneself, without a role: what the API shows everybody of their own. */
function Own({ user }: OfPerson): JSX.Element {
  const who = me.value;
  return (
    <>
      <p class="lead">
        <Untrusted text={user} />
      </p>
      {who && (
        <section aria-labelledby="roles">
          <h2 id="roles">Who you are</h2>
          <dl class="facts card">
            <Fact name="In the cluster">
              <Untrusted text={who.kubernetes.user} />, groups <Untrusted text={who.kubernetes.groups.join(", ")} />
            </Fact>
            <Fact name="By">
              <code>{who.rule}</code>
            </Fact>
            <Fact name="You decide about">
              <Untrusted text={who.approves.join(", ")} />
            </Fact>
            <Fact name="Signed in until">
              <Time at={who.tokenExpiresAt} />
            </Fact>
          </dl>
        </section>
      )}
      <Day>{(period) => <OwnDay period={period} />}</Day>
    </>
  );
}

function Day({ children }: { readonly children: (period: Period) => ComponentChildren }): JSX.Element {
  const address = useAddressState();
  const now = new Date();
  const period = readPeriod(address.get("since"), address.get("until"), now);
  const go = (to: Period) => address.set({ ...to, cursor: "" });
  const isNewest = Date.parse(period.until) > now.getTime();
  return (
    <section aria-labelledby="day">
      <h2 id="day">{titleOf(period)}</h2>
      <search aria-label="Day" class="actions">
        <button type="button" onClick={() => go(dayBeside(period, -1))}>
          Day before
        </button>
        <button type="button" disabled={isNewest} onClick={() => go(dayBeside(period, 1))}>
          Day after
        </button>
        {!isNewest && (
          <button type="button" onClick={() => go(dayOf(new Date()))}>
            Today
          </button>
        )}
        <label>
          <span class="visually-hidden">Date</span>
          <input
            type="date"
            value={inputOf(period)}
            onChange={({ currentTarget }) => {
              const day = dayOfInput(currentTarget.value);
              if (day) go(day);
            }}
          />
        </label>
      </search>
      {children(period)}
    </section>
  );
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function titleOf(period: Period): string {
  const [since, until] = [new Date(period.since), new Date(period.until)];
  return isWholeDay(period) ? DATE.format(since) : `${DATE_AND_TIME.format(since)} to ${DATE_AND_TIME.format(until)}`;
}

const NOTHING = "No session and no API request of this day is in the audit log.";

function EverythingOf({ user, period }: OfPerson & { readonly period: Period }): JSX.Element {
  const address = useAddressState();
  const query = { ...period, cursor: address.get("cursor") };
  const page = useCall("GET /-/admin/users/{email}/activity", { params: { email: user }, query });
  return (
    <Show loaded={page}>
      {({ items, next }) => (
        <>
          <ActivityTable caption="What they did" items={items} empty={NOTHING} />
          <Pager next={next} />
        </>
      )}
    </Show>
  );
}

/** As many as the API lists at once: more than a person does in a day. */
const MOST = 500;

/** The API has one's own sessions and requests in lists of their own. */
function OwnDay({ period }: { readonly period: Period }): JSX.Element {
  const query = { ...period, limit: MOST };
  const sessions = useCall("GET /-/sessions", { query: { ...query, state: "all" } });
  const requests = useCall("GET /-/requests", { query });
  return (
    <Show loaded={sessions}>
      {(ofSessions) => (
        <Show loaded={requests}>
          {(ofRequests) => (
            <>
              {(ofSessions.next ?? ofRequests.next) !== null && (
                <p class="hint">Only the newest {MOST} sessions and requests of the day are shown.</p>
              )}
              <ActivityTable
                caption="What you did"
                items={mergeActivity(ofSessions.items, ofRequests.items)}
                empty={NOTHING}
              />
            </>
          )}
        </Show>
      )}
    </Show>
  );
}
