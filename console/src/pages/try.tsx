/** What would happen if: one request that nobody sends, and how it would be decided. The address has the question. */
import type { JSX } from "preact";
import { useAddressState } from "../address.ts";
import { useCall } from "../api/use-call.ts";
import { clusterOf, hasPart } from "../rules/anchors.ts";
import { documentOf, type RulesDocument } from "../rules/document.ts";
import { assumptionsOf } from "../rules/identity.ts";
import { requestOf, VERBS, verbOf } from "../rules/question.ts";
import { Fact } from "../ui/facts.tsx";
import { Show } from "../ui/loading.tsx";
import { DocumentLink } from "../ui/rule.tsx";
import { Untrusted, UntrustedCode } from "../ui/untrusted.tsx";
import { visibleText } from "../ui/visible-text.ts";

export function TryPage(): JSX.Element {
  const config = useCall("GET /-/admin/config");
  return (
    <Show loaded={config}>
      {(inForce) => (
        <div class="halves">
          <QuestionForm document={documentOf(inForce)} />
          <Answer document={documentOf(inForce)} />
        </div>
      )}
    </Show>
  );
}

interface OfDocument {
  readonly document: RulesDocument;
}

function QuestionForm({ document }: OfDocument): JSX.Element {
  const address = useAddressState();
  const { clusters, grants, identities } = document;
  const matches = [...identities, ...clusters.flatMap((cluster) => cluster.identities ?? [])].map(({ match }) => match);
  const assumed = assumptionsOf([...matches, ...grants.flatMap((grant) => grant.for)]);
  const isSession = verbOf(address.get("verb")).session !== undefined;
  const isWritten = address.get("request") !== "";
  return (
    <search aria-label="Question">
      <h2>If…</h2>
      <form class="card question" onSubmit={(event) => event.preventDefault()}>
        <Text name="as" label="Person" placeholder="alice@example.com" />
        {clusters.length > 1 && (
          <Choice
            name="cluster"
            label="Cluster"
            choices={clusters.map(({ name }) => ({ value: name, label: visibleText(name) }))}
          />
        )}
        <fieldset disabled={isWritten}>
          <legend>does this</legend>
          <Choice name="verb" label="Verb" choices={VERBS.map(({ name, label }) => ({ value: name, label }))} />
          {!isSession && (
            <Text name="resource" label="Resource, as in rules" placeholder="secrets, deployments.apps, pods/log" />
          )}
          <Text name="namespace" label="Namespace" />
          <Text name="name" label={isSession ? "Pod" : "Name"} />
        </fieldset>
        <Checks name="group" label="and Access says that they are in the groups" values={assumed.groups} />
        <Checks name="groupName" label="and in the groups named" values={assumed.groupNames} />
        <Checks name="claim" label="and their token has" values={assumed.claims} />
        <Checks name="posture" label="and their device passes" values={assumed.postures} />
        <Checks name="grant" label="and they have the grants" values={grants.map(({ name }) => name)} />
        <details open={["country", "kubectlAs", "kubectlAsGroup", "request"].some((name) => address.get(name) !== "")}>
          <summary>More</summary>
          <Text name="country" label="Country" placeholder="DE" />
          <Text name="kubectlAs" label="kubectl --as" />
          <Text name="kubectlAsGroup" label="kubectl --as-group" />
          <Text
            name="request"
            label="The request itself, in place of the above"
            placeholder="GET /api/v1/nodes?limit=1"
          />
        </details>
      </form>
    </search>
  );
}

interface FieldProps {
  /** Of the address's parameter, and mostly of the API's. */
  readonly name: string;
  readonly label: string;
}

function Text({ name, label, placeholder }: FieldProps & { readonly placeholder?: string }): JSX.Element {
  const address = useAddressState();
  return (
    <label>
      {label}
      <input
        name={name}
        value={address.get(name)}
        placeholder={placeholder}
        autoComplete="off"
        spellcheck={false}
        onChange={({ currentTarget }) => address.set({ [name]: currentTarget.value.trim() })}
      />
    </label>
  );
}

interface ChoiceProps extends FieldProps {
  /** The first is what counts where the address has none. */
  readonly choices: readonly { readonly value: string; readonly label: string }[];
}

function Choice({ name, label, choices }: ChoiceProps): JSX.Element {
  const address = useAddressState();
  return (
    <label>
      {label}
      <select
        name={name}
        value={address.get(name) || choices[0]?.value}
        onChange={({ currentTarget }) => address.set({ [name]: currentTarget.value })}
      >
        {choices.map(({ value, label: text }) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** All that the document asks for: nothing else that Access may say changes the answer. */
function Checks({ name, label, values }: FieldProps & { readonly values: readonly string[] }): JSX.Element | null {
  const address = useAddressState();
  const chosen = address.all(name);
  if (values.length === 0) return null;
  return (
    <fieldset>
      <legend>{label}</legend>
      {values.map((value) => (
        <label key={value} class="check">
          <input
            type="checkbox"
            checked={chosen.includes(value)}
            onChange={({ currentTarget }) => {
              const others = chosen.filter((one) => one !== value);
              address.set({ [name]: currentTarget.checked ? [...others, value] : others });
            }}
          />
          <UntrustedCode text={value} />
        </label>
      ))}
    </fieldset>
  );
}

function Answer({ document }: OfDocument): JSX.Element {
  const address = useAddressState();
  const who = address.get("as");
  const described = requestOf({
    ...{ verb: address.get("verb"), resource: address.get("resource") },
    ...{ namespace: address.get("namespace"), name: address.get("name") },
  });
  const written = address.get("request");
  const request = written !== "" ? written : described.ok ? described.value : undefined;
  const isAsked = who !== "" && request !== undefined;
  const lists = ["group", "groupName", "claim", "posture", "grant", "kubectlAsGroup"] as const;
  const answer = useCall(isAsked ? "GET /-/admin/explain" : undefined, {
    query: {
      ...{ as: who, request, cluster: address.get("cluster") },
      ...{ country: address.get("country").toUpperCase(), kubectlAs: address.get("kubectlAs") },
      ...Object.fromEntries(lists.map((name) => [name, address.all(name)])),
    },
  });
  const cluster = clusterOf(document.clusters, address.get("cluster"), undefined);
  return (
    <section aria-labelledby="answer">
      <h2 id="answer">…then</h2>
      {!isAsked && (
        <p class="card hint">
          {who === "" ? "Name a person" : `To know, ${described.ok ? "" : described.error}`}. Nothing is sent to the
          cluster, and nobody's groups are looked up.
        </p>
      )}
      {isAsked && (
        <>
          <p>
            <UntrustedCode text={request} />
          </p>
          <Show loaded={answer}>
            {({ allowed, steps }) => (
              <div class="card" role="status">
                <p class={`verdict ${allowed ? "good" : "bad"}`}>{allowed ? "Allowed" : "Refused"}</p>
                <dl class="facts">
                  {steps.map(({ step, text, rule }, index) => (
                    <Fact key={index} name={step}>
                      <Untrusted text={text} />
                      {/* Rules of what is closed by default are not in the document. */}
                      {rule !== null && hasPart(document, cluster, { part: "rule", name: rule }) && (
                        <small class="block">
                          See the rule <DocumentLink part="rule" name={rule} cluster={cluster?.name} />
                        </small>
                      )}
                    </Fact>
                  ))}
                </dl>
              </div>
            )}
          </Show>
        </>
      )}
    </section>
  );
}
