/** One question of the cookbook: its form, its answer, and the SQL that gives it. */
import type { ComponentChildren, JSX } from "preact";
import { commandLine } from "../../../common/shell.ts";
import { inlineParameters } from "../../../common/sql-text.ts";
import { pageAddress, useAddressState } from "../address.ts";
import type { Question, QuestionAnswer } from "../api/endpoints.ts";
import { type Loaded, useCall } from "../api/use-call.ts";
import { me } from "../me.ts";
import { barsOf, histogramOf } from "../questions/chart.ts";
import { kindOf, readCommand, readTime, titleOf } from "../questions/columns.ts";
import { labelOf, missingOf, questionFields, questionValues, zoneOffset } from "../questions/fields.ts";
import { parseNotes } from "../questions/notes.ts";
import { Bars, Columns } from "../ui/charts.tsx";
import { CopyButton } from "../ui/copy.tsx";
import { ExportButtons } from "../ui/export.tsx";
import { Filters } from "../ui/filters.tsx";
import { formatBytes } from "../ui/format.ts";
import { Show } from "../ui/loading.tsx";
import { PersonLink, sessionAddress } from "../ui/session.tsx";
import { Table } from "../ui/table.tsx";
import { Time } from "../ui/time.tsx";
import { useTitle } from "../ui/title.ts";
import { Untrusted, UntrustedCode } from "../ui/untrusted.tsx";
import type { PageProps } from "./page.ts";

export function QuestionPage({ params }: PageProps): JSX.Element {
  const list = useCall("GET /-/admin/questions");
  const name = params["name"] ?? "";
  return (
    <>
      <p>
        <a href={pageAddress("/questions")}>All questions</a>
      </p>
      <Show loaded={list}>
        {({ items }) => {
          const question = items.find((item) => item.name === name);
          if (!question) {
            return <p class="card">There is no question with this name. Choose one from All questions.</p>;
          }
          return <Asked key={name} question={question} />;
        }}
      </Show>
    </>
  );
}

function Asked({ question }: { readonly question: Question }): JSX.Element {
  const { name, title, parameters, sql, notes, cost } = question;
  const address = useAddressState();
  const asker = { zone: zoneOffset(new Date()), clusters: me.value?.clusters.map((cluster) => cluster.name) ?? [] };
  const query = questionValues(parameters, asker, address.get);
  const missing = missingOf(parameters, query);
  const answer = useCall(missing.length === 0 ? "GET /-/admin/questions/{name}" : undefined, {
    params: { name },
    query,
  });
  useTitle(title, "Questions");
  const values = answer.value?.values;
  const hasTimes = ["since", "until"].every((time) => parameters.some((parameter) => parameter.name === time));
  return (
    <>
      <p class="lead">{title}</p>
      <div class="beside">
        <div>
          <Filters filters={questionFields(parameters, asker, values)} hasRanges={hasTimes}>
            {missing.length === 0 && (
              <button type="button" onClick={answer.reload}>
                Ask again
              </button>
            )}
          </Filters>
          <Notes notes={notes} />
          {cost === "table" && <p class="hint">It reads the whole audit log, so the answer may take some seconds.</p>}
        </div>
        <Sql sql={values ? inlineParameters(sql, values) : sql} />
      </div>
      {missing.length > 0 ? (
        <p class="card">
          Before this can be asked, fill in: {missing.map((parameter) => labelOf(parameter.name)).join(", ")}.
        </p>
      ) : (
        <Answered answer={answer} query={query} />
      )}
    </>
  );
}

function Notes({ notes }: { readonly notes: string }): JSX.Element {
  return (
    <>
      {parseNotes(notes).map((block, index) =>
        block.kind === "block" ? (
          <pre key={index}>{block.text}</pre>
        ) : (
          <p key={index} class="hint">
            {block.spans.map(({ kind, text }, span) => (kind === "code" ? <code key={span}>{text}</code> : text))}
          </p>
        ),
      )}
    </>
  );
}

function Sql({ sql }: { readonly sql: string }): JSX.Element {
  return (
    <section class="card sql" aria-labelledby="sql">
      <div class="actions">
        <h2 id="sql">SQL</h2>
        <CopyButton text={sql} what="SQL" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: axe-core wants it of what scrolls */}
      <pre tabIndex={0}>
        {/* Nothing in it is invisible: see common/sql-text.ts. What is selected here is what is copied above. */}
        <code>{sql}</code>
      </pre>
    </section>
  );
}

interface AnsweredProps {
  readonly answer: Loaded<QuestionAnswer>;
  readonly query: Readonly<Record<string, string>>;
}

function Answered({ answer, query }: AnsweredProps): JSX.Element {
  return (
    <Show loaded={answer}>
      {(value) => (
        <>
          <Chart answer={value} />
          <div class="actions">
            <strong>
              {value.rows.length} {value.rows.length === 1 ? "row" : "rows"}
            </strong>
            {!value.complete && <span class="tag warn">there are more: ask about a shorter time</span>}
            <ExportButtons
              endpoint="GET /-/admin/questions/{name}"
              parts={{ params: { name: value.name }, query }}
              name={value.name}
            />
          </div>
          <Rows answer={value} />
        </>
      )}
    </Show>
  );
}

function Rows({ answer: { title, columns, rows, values } }: { readonly answer: QuestionAnswer }): JSX.Element {
  return (
    <Table
      caption={title}
      items={rows}
      keyOf={(_, index) => String(index)}
      columns={columns.map((column, index) => ({
        title: titleOf(column),
        cell: (cells: readonly unknown[]) => cellOf(column, cells[index], values["zone"]),
        isNumber: rows.every(({ [index]: cell }) => cell === null || typeof cell === "number"),
      }))}
      empty="The audit log has no such row. Choose a longer time, or other values."
    />
  );
}

/** One cell. What it is says its column; a text that does not fit there is shown as it is. */
function cellOf(column: string, cell: unknown, zone: string | number | undefined): ComponentChildren {
  if (cell === null || cell === undefined) return <Untrusted text={null} />;
  const kind = kindOf(column);
  const text = String(cell);
  if (typeof cell === "number") return kind === "bytes" ? formatBytes(cell) : text;
  if (kind === "person") return <PersonLink user={text} />;
  if (kind === "session") {
    return (
      <a href={sessionAddress(text)}>
        <Untrusted text={`${text.slice(0, SHOWN_ID_CHARS)}…`} />
      </a>
    );
  }
  const command = kind === "command" ? readCommand(cell) : undefined;
  if (command) return <UntrustedCode text={commandLine(command)} />;
  const at = kind === "time" ? readTime(cell, zone) : undefined;
  return at === undefined ? <Untrusted text={text} /> : <Time at={at} />;
}

/** Of a session's id, to tell it from others of a table. */
const SHOWN_ID_CHARS = 12;

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const HOUR = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function Chart({ answer }: { readonly answer: QuestionAnswer }): JSX.Element | null {
  const { chart, values } = answer;
  if (chart) {
    const bars = barsOf(answer);
    // One bar says no more than its row.
    if (bars.length < 2) return null;
    const shownOf = (value: number) => (kindOf(chart.value) === "bytes" ? formatBytes(value) : String(value));
    const labelled = bars.map(({ label, value }) => {
      const at = kindOf(chart.label) === "time" ? readTime(label, values["zone"]) : undefined;
      return { label: at === undefined ? label : HOUR.format(at), value, shown: shownOf(value) };
    });
    return <Bars title={`${titleOf(chart.value)} by ${titleOf(chart.label).toLowerCase()}`} bars={labelled} />;
  }
  const histogram = histogramOf(answer);
  if (!histogram) return null;
  const format = histogram.step === "day" ? DAY : HOUR;
  const columns = histogram.buckets.map(({ from, count }) => ({ label: format.format(from), value: count }));
  return <Columns title={`Rows each ${histogram.step}`} columns={columns} />;
}
