/** People: whom to look at. Somebody's name leads to their day. */
import type { JSX } from "preact";
import { useLocation } from "preact-iso/router";
import { type KnownPerson, peopleOf } from "../activity.ts";
import { pageAddress } from "../address.ts";
import { useCall } from "../api/use-call.ts";
import { documentOf } from "../rules/document.ts";
import { identitySubject } from "../rules/words.ts";
import { Show } from "../ui/loading.tsx";
import { DocumentLink } from "../ui/rule.tsx";
import { PersonLink, personAddress } from "../ui/session.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { Sentence } from "../ui/words.tsx";

/** As many as the API lists at once. */
const NEWEST = 500;

const COLUMNS: readonly Column<KnownPerson>[] = [
  { title: "Person", cell: ({ user }) => <PersonLink user={user} /> },
  { title: "Last session", cell: ({ lastAt }) => <Time at={lastAt} /> },
  { title: "Sessions", cell: ({ sessions }) => sessions, isNumber: true },
  {
    title: "Now",
    cell: ({ live }) => (live === 0 ? <span class="none">–</span> : <span class="tag good">{live} live</span>),
  },
];

export function PeoplePage(): JSX.Element {
  const { route } = useLocation();
  const newest = useCall("GET /-/admin/sessions", { query: { limit: NEWEST } });
  const find = (event: SubmitEvent) => {
    event.preventDefault();
    const user = String(new FormData(event.currentTarget as HTMLFormElement).get("user") ?? "").trim();
    if (user !== "") route(personAddress(user.toLowerCase()));
  };
  return (
    <>
      <search aria-label="Find a person">
        <form class="filters" onSubmit={find}>
          <label class="wide">
            Email address, or service:CLIENT ID
            <input name="user" autoComplete="off" spellcheck={false} required pattern="[!-~]+" />
          </label>
          <button type="submit" class="primary">
            Show
          </button>
          {/* A question, and not a list of this page: it reads the whole audit log. */}
          <a class="button" href={pageAddress("/questions/locked")}>
            Who is locked?
          </a>
        </form>
      </search>
      <section aria-labelledby="lately">
        <h2 id="lately">Seen lately</h2>
        <Show loaded={newest}>
          {({ items, next }) => (
            <>
              <p class="hint">
                {next === null ? "Everybody with a session in the audit log." : `By the newest ${NEWEST} sessions.`}
              </p>
              <Table
                caption="People who were seen lately"
                columns={COLUMNS}
                items={peopleOf(items)}
                keyOf={({ user }) => user}
                empty="Nobody has opened a session yet."
              />
            </>
          )}
        </Show>
      </section>
      <Roles />
    </>
  );
}

/** Who has a role in Sallyport. */
function Roles(): JSX.Element {
  const config = useCall("GET /-/admin/config");
  return (
    <section aria-labelledby="roles">
      <h2 id="roles">Roles in Sallyport</h2>
      <Show loaded={config}>
        {(inForce) => {
          const identities = documentOf(inForce).identities.map((identity, index) => ({ ...identity, index }));
          return (
            <Table
              caption="Who has a role"
              items={identities.filter(({ roles }) => roles.length > 0)}
              keyOf={({ index }) => String(index)}
              columns={[
                { title: "Role", cell: ({ roles }) => roles.join(", ") },
                { title: "Who", cell: ({ match }) => <Sentence words={identitySubject(match)} /> },
                { title: "By", cell: ({ index }) => <DocumentLink part="identity" name={String(index)} /> },
              ]}
              empty="No identity rule gives anybody a role."
            />
          );
        }}
      </Show>
    </section>
  );
}
