/** The cookbook's questions, as the routes of `/-/admin/questions` take and answer them. */
import * as z from "zod";
import { formatParameter } from "./shared.ts";

const MAX_ROWS = 1_000;

export const questionParams = z.strictObject({ name: z.string().describe("The question's name.") });

/** Each question has parameters of its own, so the handler refuses what it does not know. */
export const questionQuery = z
  .object({
    limit: z.coerce.number().int().min(1).max(MAX_ROWS).default(MAX_ROWS).describe("The most rows."),
    format: formatParameter,
  })
  .catchall(z.string());

const parameter = z.strictObject({
  name: z.string().describe("Its name in the query, and after a colon in `sql`."),
  type: z
    .enum(["time", "zone", "user", "text", "pattern", "integer", "json"])
    .describe(
      "`time`: RFC 3339, or a day in UTC. `zone`: an offset such as `+2 hours`. `pattern`: of SQL's LIKE. `json`: a list.",
    ),
  description: z.string().describe("What it is."),
  example: z.union([z.string(), z.number()]).describe("One that fits."),
  required: z.boolean().describe("Whether it must be given."),
});

const questionFields = {
  name: z.string().describe("Its name in the path."),
  title: z.string().describe("The question."),
  section: z.string().describe("The section of the cookbook."),
  notes: z.string().describe("What to know of the answer, in Markdown."),
  cost: z
    .enum(["index", "table"])
    .describe("`index`: reads the rows of the time that is asked about. `table`: reads the whole audit log."),
  sql: z.string().describe("The query, with named parameters."),
  parameters: z.array(parameter).describe("In the order of their first use."),
  chart: z
    .strictObject({ label: z.string().describe("A column."), value: z.string().describe("A column of numbers.") })
    .nullable()
    .describe("Columns of which a chart helps. Null: none does."),
};

export const questionList = z
  .strictObject({
    items: z
      .array(z.strictObject(questionFields).meta({ id: "Question", description: "A question that can be asked." }))
      .describe("In the order of the cookbook."),
  })
  .meta({ id: "QuestionList", description: "The questions that can be asked of the audit log." });

export const questionAnswer = z
  .strictObject({
    ...questionFields,
    values: z.record(z.string(), z.union([z.string(), z.number()])).describe("The parameters as they were bound."),
    columns: z.array(z.string()).describe("Names of the columns."),
    rows: z.array(z.array(z.unknown())).describe("A list of cells for each row: texts, numbers and nulls."),
    complete: z.boolean().describe("False: there are more rows than `limit`."),
  })
  .meta({ id: "QuestionAnswer", description: "The answer to a question." });
