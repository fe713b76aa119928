/** Questions: what security teams ask of the audit log, by subject. */
import type { JSX } from "preact";
import { pageAddress, useAddressState } from "../address.ts";
import type { Question } from "../api/endpoints.ts";
import { useCall } from "../api/use-call.ts";
import { labelOf } from "../questions/fields.ts";
import { Show } from "../ui/loading.tsx";

export function QuestionsPage(): JSX.Element {
  const list = useCall("GET /-/admin/questions");
  const address = useAddressState();
  const wanted = address.get("about").toLowerCase();
  return (
    <>
      <p class="hint">Each opens as a form. Its answer is a table that can be sent as a link and exported.</p>
      <search aria-label="Find a question" class="filters">
        <label>
          Find
          <input
            name="about"
            value={address.get("about")}
            autoComplete="off"
            spellcheck={false}
            onInput={({ currentTarget }) => address.set({ about: currentTarget.value.trimStart() }, true)}
          />
        </label>
      </search>
      <Show loaded={list}>
        {({ items }) => <Sections questions={items.filter((question) => isAbout(question, wanted.trim()))} />}
      </Show>
    </>
  );
}

function isAbout({ title, section, name, notes }: Question, wanted: string): boolean {
  return [title, section, name, notes].some((text) => text.toLowerCase().includes(wanted));
}

function Sections({ questions }: { readonly questions: readonly Question[] }): JSX.Element {
  if (questions.length === 0) return <p class="card hint">No question matches: clear the field Find.</p>;
  const sections = [...new Set(questions.map(({ section }) => section))];
  return (
    <div class="sections">
      {sections.map((section) => (
        <section key={section} class="card" aria-label={section}>
          <h2>{section}</h2>
          <ul>
            {questions
              .filter((question) => question.section === section)
              .map((question) => (
                <li key={question.name}>
                  <a href={pageAddress(`/questions/${encodeURIComponent(question.name)}`)}>{question.title}</a>
                  <Needs question={question} />
                </li>
              ))}
          </ul>
        </section>
      ))}
    </div>
  );
}

/** What must be given before it can be asked. */
function Needs({ question: { parameters } }: { readonly question: Question }): JSX.Element | null {
  const needed = parameters.filter(({ required }) => required).map(({ name }) => labelOf(name).toLowerCase());
  return needed.length === 0 ? null : <small> needs {needed.map(withArticle).join(" and ")}</small>;
}

function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}
