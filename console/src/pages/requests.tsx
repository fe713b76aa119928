/** API requests: what mattered, by whom, and what became of it. Who has no role sees their own. */
import type { JSX } from "preact";
import { pageAddress, useAddressState } from "../address.ts";
import type { ApiRequest } from "../api/endpoints.ts";
import { useCall } from "../api/use-call.ts";
import { isAuditor } from "../me.ts";
import { CATEGORY_LABELS, momentOf, OUTCOME_LABELS, outcomeTag, requestObject, requestPurpose } from "../requests.ts";
import { ExportButtons } from "../ui/export.tsx";
import { Fact } from "../ui/facts.tsx";
import type { Filter } from "../ui/filter.ts";
import { Filters, useFilterQuery } from "../ui/filters.tsx";
import { Show } from "../ui/loading.tsx";
import { DocumentLink, DocumentLinks } from "../ui/rule.tsx";
import { PersonLink } from "../ui/session.tsx";
import { type Column, Pager, Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { Untrusted, UntrustedCode } from "../ui/untrusted.tsx";
import { visibleJson } from "../ui/visible-text.ts";

const asChoices = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([value, label]) => ({ value, label }));

const VERBS = ["create", "update", "patch", "delete", "deletecollection", "get", "list", "watch"];
const RESOURCES = ["pods", "secrets", "serviceaccounts", "deployments", "jobs", "nodes", "rolebindings", "configmaps"];

const OWN_FILTERS = [
  { name: "category", label: "Category", choices: asChoices(CATEGORY_LABELS) },
  { name: "outcome", label: "Outcome", choices: asChoices(OUTCOME_LABELS) },
  { name: "verb", label: "Verb", suggestions: VERBS },
  { name: "resource", label: "Resource", suggestions: RESOURCES },
  { name: "namespace", label: "Namespace" },
  { name: "since", label: "Since", isTime: true },
  { name: "until", label: "Before", isTime: true },
  { name: "cluster", label: "Cluster", isRare: true },
  { name: "subresource", label: "Subresource", isRare: true },
  { name: "name", label: "Name", isRare: true },
  { name: "rule", label: "Rule", isRare: true },
  { name: "refusal", label: "Code of the refusal", isRare: true },
] as const satisfies readonly Filter[];
const FILTERS = [{ name: "user", label: "Person" }, ...OWN_FILTERS] as const satisfies readonly Filter[];

const COLUMNS: readonly Column<ApiRequest>[] = [
  { title: "When", cell: ({ at }) => <Time at={at} /> },
  { title: "Person", cell: ({ user }) => <Requester user={user} /> },
  { title: "Cluster", cell: ({ cluster }) => <Untrusted text={cluster} /> },
  { title: "Request", cell: (request) => <UntrustedCode text={requestPurpose(request)} /> },
  { title: "Object", cell: (request) => <Untrusted text={requestObject(request)} /> },
  { title: "Category", cell: ({ category }) => CATEGORY_LABELS[category] },
  { title: "Outcome", cell: (request) => <Outcome request={request} /> },
];

export function RequestsPage(): JSX.Element {
  const isOfAll = isAuditor();
  const filters = isOfAll ? FILTERS : OWN_FILTERS;
  const query = useFilterQuery(filters);
  const page = useCall(isOfAll ? "GET /-/admin/requests" : "GET /-/requests", { query });
  const { since, until } = query;
  return (
    <>
      {!isOfAll && <p class="hint">Your own requests, as far as the audit log has them.</p>}
      <Filters filters={filters} hasRanges>
        {isOfAll && (
          <>
            <ExportButtons endpoint="GET /-/admin/requests" parts={{ query }} name="requests" />
            <a class="button" href={pageAddress("/questions/refused-by-reason", { since, until })}>
              Refusals by reason
            </a>
          </>
        )}
      </Filters>
      <Show loaded={page}>
        {({ items, next }) => (
          <>
            <RequestTable
              requests={items}
              columns={isOfAll ? COLUMNS : COLUMNS.filter(({ title }) => title !== "Person")}
            />
            <Pager next={next} />
          </>
        )}
      </Show>
    </>
  );
}

interface RequestTableProps {
  readonly requests: readonly ApiRequest[];
  readonly columns: readonly Column<ApiRequest>[];
}

function RequestTable({ requests, columns }: RequestTableProps): JSX.Element {
  const address = useAddressState();
  return (
    <Table
      caption="API requests"
      columns={columns}
      items={requests}
      keyOf={({ id }) => id}
      details={{
        openKey: address.get("request"),
        open: (id) => address.set({ request: id }, true),
        show: (request) => <Details request={request} />,
      }}
      empty="No request matches these filters. Choose a longer time, or clear them. The audit log has changes, secrets that were read, credentials, and what was denied."
    />
  );
}

function Requester({ user }: { readonly user: string | null }): JSX.Element {
  return user === null ? <span class="none">nobody known</span> : <PersonLink user={user} />;
}

/** What became of it; of several that were counted, how many. */
function Outcome({ request }: { readonly request: ApiRequest }): JSX.Element {
  const { count, refusal } = request;
  const { text, tone } = outcomeTag(request);
  return (
    <>
      <span class={`tag ${tone}`}>{text}</span>
      {count > 1 && (
        <>
          {" "}
          <span class="tag quiet">{count} counted</span>
        </>
      )}
      {refusal !== null && (
        <>
          {" "}
          <a href={pageAddress("/requests", { refusal })}>
            <small>
              <Untrusted text={refusal} />
            </small>
          </a>
        </>
      )}
    </>
  );
}

/** All that the audit log has of it. */
function Details({ request }: { readonly request: ApiRequest }): JSX.Element {
  const { id, count, firstAt, lastAt, status, podFacts, rule, grants, cluster } = request;
  return (
    <>
      {count > 1 && (
        <p>
          <strong>This row stands for {count} requests.</strong> They were counted because they were too many, or
          repeated each other. It says what they have in common.
          {firstAt !== null && (
            <>
              {" The first came at "}
              <Time at={firstAt} />, the last at <Time at={lastAt} />.
            </>
          )}
        </p>
      )}
      <dl class="facts">
        <Fact name="Status">{status ?? <span class="none">the cluster's answer is unknown</span>}</Fact>
        {factsOf(request).map(
          ([name, text]) =>
            text && (
              <Fact key={name} name={name}>
                <Untrusted text={text} />
              </Fact>
            ),
        )}
        {rule !== null && (
          <Fact name="Decided by rule">
            <DocumentLink part="rule" name={rule} cluster={cluster} />
          </Fact>
        )}
        {grants !== null && (
          <Fact name="Grants">
            <DocumentLinks part="grant" names={grants} />
          </Fact>
        )}
        <Fact name="Id">
          <a href={pageAddress("/requests", { ...momentOf(request), request: id })}>
            <code>{id}</code>
          </a>
        </Fact>
      </dl>
      {podFacts !== null && (
        <>
          <h3>Requested pod</h3>
          <pre>
            <bdi>{visibleJson(podFacts)}</bdi>
          </pre>
        </>
      )}
    </>
  );
}

/** Facts that are texts. Those that are not known are left out. */
function factsOf(request: ApiRequest): readonly (readonly [string, string | null])[] {
  const { clientAddress, country } = request;
  return [
    ["Message", request.reason],
    ["Method", request.method],
    ["Path", request.path],
    ["In the cluster as", request.kubernetesUser],
    ["From", clientAddress !== null && country !== null ? `${clientAddress} (${country})` : clientAddress],
    ["Signed in by", request.signIn],
    ["Device", request.deviceId],
    ["Client", request.userAgent],
    ["Cloudflare's ray", request.ray],
  ];
}
