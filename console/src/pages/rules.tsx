/** Rules: the configuration document that is in force, in words. Names elsewhere lead to its parts. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { pageAddress, useAddressState } from "../address.ts";
import { useCall } from "../api/use-call.ts";
import { anchorOf, clusterOf, hasPart, type NamedPart, readAnchor } from "../rules/anchors.ts";
import { documentOf, type IdentityRule, matchesSearch, type RulesDocument } from "../rules/document.ts";
import {
  grantEffects,
  grantSubject,
  identityEffects,
  identitySubject,
  limitWords,
  recordingWords,
  ruleEffects,
  ruleSubject,
  type Words,
} from "../rules/words.ts";
import { Gives } from "../ui/access.tsx";
import { Fact } from "../ui/facts.tsx";
import { Show } from "../ui/loading.tsx";
import { Untrusted, UntrustedCode } from "../ui/untrusted.tsx";
import { visibleJson, visibleText } from "../ui/visible-text.ts";
import { Sentence } from "../ui/words.tsx";

export function RulesPage(): JSX.Element {
  const config = useCall("GET /-/admin/config");
  return (
    <Show loaded={config}>{(inForce) => <Document document={documentOf(inForce)} version={inForce.version} />}</Show>
  );
}

interface DocumentProps {
  readonly document: RulesDocument;
  readonly version: string | null;
}

function Document({ document, version }: DocumentProps): JSX.Element {
  const address = useAddressState();
  const search = address.get("q");
  const { clusters } = document;
  const anchor = readAnchor(location.hash.slice(1));
  const cluster = clusterOf(clusters, address.get("cluster"), anchor);
  const isFound = (part: unknown) => search === "" || matchesSearch(part, search);
  const clusterName = visibleText(cluster?.name ?? "");
  const rules = (cluster?.rules ?? []).map((rule, index) => ({ rule, index })).filter(({ rule }) => isFound(rule));
  const grants = document.grants.filter(isFound);
  const missing = anchor && !hasPart(document, cluster, anchor) ? anchor : undefined;
  return (
    <>
      <search aria-label="Search" class="filters">
        <label class="wide">
          Search
          <input
            name="q"
            value={search}
            autoComplete="off"
            spellcheck={false}
            onInput={({ currentTarget }) => address.set({ q: currentTarget.value }, true)}
          />
        </label>
        {clusters.length > 1 && (
          <label>
            Cluster
            <select
              name="cluster"
              value={cluster?.name}
              onChange={({ currentTarget }) => address.set({ cluster: currentTarget.value })}
            >
              {clusters.map(({ name }) => (
                <option key={name} value={name}>
                  {visibleText(name)}
                </option>
              ))}
            </select>
          </label>
        )}
        <a class="button primary" href={pageAddress("/rules/try", { cluster: address.get("cluster") })}>
          What would happen if…
        </a>
      </search>
      {missing && (
        <p class="card" role="status">
          The document in force has no {missing.part === "cluster-identity" ? "identity" : missing.part}{" "}
          <UntrustedCode text={missing.name} />
          {clusters.length > 1 && " at this cluster"}: it may have another name now, or be removed.
        </p>
      )}
      {cluster?.identities && (
        <Identities
          part="cluster-identity"
          title={`Who somebody is at ${clusterName}`}
          hint="This cluster has identities of its own. The first that matches decides; without a match, everything is refused here."
          rules={cluster.identities}
          isFound={isFound}
        />
      )}
      <Identities
        part="identity"
        title={cluster?.identities ? "Who has a role, and who somebody is elsewhere" : "Who somebody is"}
        hint={
          cluster?.identities
            ? "The document's own. They give the roles in Sallyport, for all clusters, and hold where a cluster has none of its own."
            : "Access says who signs in. The first that matches decides who they are in the cluster; without a match, everything is refused."
        }
        rules={document.identities}
        isFound={isFound}
      />
      <Part
        id="rules"
        title={clusters.length > 1 ? `What they may do at ${clusterName}` : "What they may do"}
        hint="The first that matches decides. What no rule matches passes, and the cluster's RBAC decides."
        count={rules.length}
      >
        {rules.map(({ rule, index }) => (
          <Entry
            key={rule.name}
            part="rule"
            name={rule.name}
            title={
              <>
                <small>{index + 1}</small> <Untrusted text={rule.name} />{" "}
                <span class={`tag ${rule.action === "refuse" ? "bad" : rule.approval ? "warn" : "good"}`}>
                  {rule.action === "refuse" ? "refuse" : rule.approval ? "approval" : "allow"}
                </span>
              </>
            }
            subject={ruleSubject(rule)}
            effects={ruleEffects(rule)}
            source={rule}
          />
        ))}
      </Part>
      <Part
        id="grants"
        title="What they may ask for"
        hint="Access for a while. Others approve it."
        count={grants.length}
      >
        {grants.map((grant) => (
          <Entry
            key={grant.name}
            part="grant"
            name={grant.name}
            title={<Untrusted text={grant.name} />}
            subject={grantSubject(grant)}
            effects={grantEffects(grant)}
            source={grant}
          >
            <p>
              Gives <Gives {...grant.gives} />.
            </p>
          </Entry>
        ))}
      </Part>
      {search === "" && <Rest document={document} version={version} />}
    </>
  );
}

interface IdentitiesProps {
  readonly part: "identity" | "cluster-identity";
  readonly title: string;
  readonly hint: string;
  readonly rules: readonly IdentityRule[];
  readonly isFound: (rule: IdentityRule) => boolean;
}

function Identities({ part, title, hint, rules, isFound }: IdentitiesProps): JSX.Element {
  const found = rules.map((rule, index) => ({ rule, index })).filter(({ rule }) => isFound(rule));
  return (
    <Part id={part === "identity" ? "identities" : "cluster-identities"} title={title} hint={hint} count={found.length}>
      {found.map(({ rule, index }) => (
        <Entry
          key={index}
          part={part}
          name={String(index)}
          title={<code>identities[{index}]</code>}
          subject={identitySubject(rule.match)}
          effects={identityEffects(rule)}
          source={rule}
        />
      ))}
    </Part>
  );
}

interface PartProps {
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly count: number;
  readonly children: ComponentChildren;
}

function Part({ id, title, hint, count, children }: PartProps): JSX.Element {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>
        {title} <small>{count}</small>
      </h2>
      <p class="hint">{hint}</p>
      {count === 0 ? <p class="card hint">None here.</p> : children}
    </section>
  );
}

interface EntryProps {
  readonly part: NamedPart;
  readonly name: string;
  readonly title: ComponentChildren;
  readonly subject: Words;
  readonly effects: readonly Words[];
  /** As the document has it. */
  readonly source: unknown;
  readonly children?: ComponentChildren;
}

function Entry({ part, name, title, subject, effects, source, children }: EntryProps): JSX.Element {
  const id = anchorOf(part, name);
  // The browser looked for the fragment before the document was there.
  useEffect(() => {
    if (location.hash.slice(1) === id) document.getElementById(id)?.scrollIntoView({ block: "center" });
  }, [id, location.hash]);
  return (
    <article class={location.hash.slice(1) === id ? "card entry here" : "card entry"} id={id}>
      <h3>{title}</h3>
      <p>
        <Sentence words={subject} />
      </p>
      {children}
      <ul>
        {effects.map((words, index) => (
          <li key={index}>
            <Sentence words={words} />
          </li>
        ))}
      </ul>
      <div class="actions">
        <a href={`${location.search}#${id}`}>Link to this</a>
        <details>
          <summary>As written</summary>
          <pre>
            <bdi>{visibleJson(source)}</bdi>
          </pre>
        </details>
      </div>
    </article>
  );
}

/** What holds for everybody. */
function Rest({ document, version }: DocumentProps): JSX.Element {
  const { limits, recording, audit, access, portForward, loopbackOrigins, clusters } = document;
  return (
    <section aria-labelledby="rest">
      <h2 id="rest">For everybody</h2>
      <dl class="facts card">
        <Fact name="Sessions">
          <List texts={limitWords(limits)} />
        </Fact>
        <Fact name="Recordings">
          <List texts={recordingWords(recording)} />
        </Fact>
        <Fact name="Port-forwards">
          {portForward.onUnreadable === "end"
            ? "end where their frames cannot be read"
            : "go on where their frames cannot be read, and are marked"}
        </Fact>
        <Fact name="While D1 is away">
          {audit.onOutage === "buffer"
            ? "events wait in users' objects, and sessions open"
            : "no session opens whose start is not in D1"}
        </Fact>
        <Fact name="Sealed rows">
          {audit.seal.keepMonths === null ? "stay in D1" : `leave D1 after ${audit.seal.keepMonths} months`}
        </Fact>
        <Fact name="Access">
          <Untrusted text={access.teamDomain} />
          {access.adminAudiences && ", with an application of its own in front of the admin API"}
        </Fact>
        <Fact name="Clusters">
          <ul class="plain">
            {clusters.map(({ name, hostnames }) => (
              <li key={name}>
                <Untrusted text={name} />:{" "}
                {hostnames.length === 0 ? "every host name" : <Untrusted text={hostnames.join(", ")} />}
              </li>
            ))}
          </ul>
        </Fact>
        {loopbackOrigins.length > 0 && (
          <Fact name="Local pages that may write">
            <Untrusted text={loopbackOrigins.join(", ")} />
          </Fact>
        )}
        <Fact name="Version of the edge">
          <Untrusted text={version} />
        </Fact>
      </dl>
    </section>
  );
}

function List({ texts }: { readonly texts: readonly string[] }): JSX.Element {
  return (
    <ul class="plain">
      {texts.map((text) => (
        <li key={text}>{text}</li>
      ))}
    </ul>
  );
}
