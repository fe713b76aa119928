/** The cookbook's questions: read-only queries whose parameters are bound. */
import type * as z from "zod";
import { findQuestion, SECTIONS } from "../../../audit/questions/index.ts";
import { compileQuestion, placeholdersOf, type Question, readsWholeTable } from "../../../audit/questions/question.ts";
import { err, ok } from "../../../common/result.ts";
import { STORAGE_TIMEOUTS_MS } from "../../../common/storage-timeouts.ts";
import { denial } from "../../denials.ts";
import { queryDatabase } from "../database.ts";
import { isRequired, readValues } from "../question-values.ts";
import type { questionList } from "../schemas/questions.ts";
import type { Handler } from "./handler.ts";

type QuestionJson = z.output<typeof questionList>["items"][number];

const UNKNOWN = denial("not_found", "there is no question of this name: GET /-/admin/questions lists them");
const SLOW = denial(
  "audit_database_unavailable",
  `D1 did not answer this within ${STORAGE_TIMEOUTS_MS.d1Question / 1_000} s: ask about a shorter time, or ask the export`,
);

export const listQuestions: Handler<"listQuestions"> = async () =>
  ok({ items: SECTIONS.flatMap(({ questions }) => questions).map(questionJson) });

export const askQuestion: Handler<"askQuestion"> = async ({ params: { name }, query }, { env }) => {
  const question = findQuestion(name);
  if (!question) return err(UNKNOWN);
  const { limit, format: _, ...given } = query;
  const values = readValues(question, given as Readonly<Record<string, string>>, Date.now());
  if (!values.ok) return err(denial("bad_request", values.error));
  // One more than asked for tells whether there are more.
  const { sql, bound } = compileQuestion(question, values.value, limit + 1);
  const statement = env.AUDIT_DB.prepare(sql).bind(...bound);
  const found = await queryDatabase(statement.raw({ columnNames: true }), STORAGE_TIMEOUTS_MS.d1Question);
  if (!found.ok) return err(SLOW);
  const [columns, ...rows] = found.value;
  return ok({
    ...questionJson(question),
    values: values.value,
    columns,
    rows: rows.slice(0, limit),
    complete: rows.length <= limit,
  });
};

function questionJson(question: Question): QuestionJson {
  const { name, title, sql, parameters, notes, chart = null } = question;
  const section = SECTIONS.find(({ questions }) => questions.includes(question))?.title ?? "";
  return {
    ...{ name, title, section, notes: notes.trim(), cost: readsWholeTable(question) ? "table" : "index" },
    sql: sql.trim(),
    parameters: placeholdersOf(question).flatMap((each) => {
      const parameter = parameters[each];
      if (!parameter) return [];
      const { type, description, example } = parameter;
      return [{ name: each, type, description, example, required: isRequired(each, parameter) }];
    }),
    chart,
  };
}
