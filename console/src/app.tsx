/** The frame of every page: navigation, heading, the page itself, and who looks at it. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { LocationProvider, Route, Router, useLocation } from "preact-iso/router";
import { BASE, pageAddress } from "./address.ts";
import { loadMe, me, meFailure } from "./me.ts";
import { PAGES } from "./pages/index.ts";
import type { Page, PageProps } from "./pages/page.ts";
import { THEMES, theme } from "./theme.ts";
import { Announcements } from "./ui/announce.tsx";
import { Failure } from "./ui/loading.tsx";
import { NotForYou } from "./ui/not-for-you.tsx";
import { PersonLink } from "./ui/session.tsx";
import { usePageTitle } from "./ui/title.ts";

export function App(): JSX.Element {
  return (
    <LocationProvider scope={BASE}>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <header class="top">
        <a class="brand" href={`${BASE}/`}>
          Sallyport
        </a>
        <Navigation />
        <Person />
      </header>
      <Content />
      <Announcements />
    </LocationProvider>
  );
}

function Navigation(): JSX.Element {
  const { path } = useLocation();
  const pages = PAGES.filter((page) => page.isListed !== false && page.isFor());
  return (
    <nav aria-label="Pages">
      <ul>
        {pages.map(({ path: page, title }) => {
          const address = pageAddress(page);
          const isHere = path === address || path.startsWith(`${address}/`);
          return (
            <li key={page}>
              <a href={address} aria-current={isHere ? "page" : undefined}>
                {title}
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function Person(): JSX.Element {
  const who = me.value;
  return (
    <div class="person">
      {who && (
        <span>
          <PersonLink user={who.identity} />
          {who.roles.length > 0 && <small> {who.roles.join(", ")}</small>}
        </span>
      )}
      <label>
        <span class="visually-hidden">Theme</span>
        <select
          value={theme.value}
          onChange={({ currentTarget }) => {
            theme.value = THEMES.find((name) => name === currentTarget.value) ?? "system";
          }}
        >
          {THEMES.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

/** The page of the address, once it is known who looks at it. */
function Content(): JSX.Element {
  const main = useRef<HTMLElement>(null);
  const { path, wasPush } = useLocation() as ReturnType<typeof useLocation> & { readonly wasPush: boolean };
  // A screen reader is told of another page as of a loaded one: by the focus. The first page is loaded.
  useEffect(() => {
    if (wasPush) main.current?.focus();
  }, [path]);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      {meFailure.value && <Failure failure={meFailure.value} retry={() => void loadMe()} />}
      {!me.value && !meFailure.value && <p class="loading">Loading…</p>}
      {me.value && (
        <Router>
          {[
            <Route key="" path={`${BASE}/`} component={FirstPage} />,
            ...PAGES.map((page) => <Route key={page.path} path={BASE + page.path} component={framed(page)} />),
            <Route key="default" default component={NoPage} />,
          ]}
        </Router>
      )}
    </main>
  );
}

const frames = new Map<Page, (props: PageProps) => JSX.Element>();

/** A page with its heading. The component is the same each time, so that it keeps its state. */
function framed(page: Page): (props: PageProps) => JSX.Element {
  const known = frames.get(page);
  if (known) return known;
  const Component = page.component;
  const frame = (props: PageProps) => (
    <Titled title={page.title}>{page.isFor() ? <Component params={props.params} /> : <NotForYou />}</Titled>
  );
  frames.set(page, frame);
  return frame;
}

function Titled({ title, children }: { readonly title: string; readonly children: ComponentChildren }): JSX.Element {
  usePageTitle(title);
  return (
    <>
      <h1>{title}</h1>
      {children}
    </>
  );
}

/** The first page that the person may see. */
function FirstPage(): JSX.Element {
  const { route } = useLocation();
  const first = PAGES.find((page) => page.isListed !== false && page.isFor());
  useEffect(() => {
    if (first) route(pageAddress(first.path), true);
  }, [first]);
  return first ? <p class="loading">Loading…</p> : <NotForYou />;
}

function NoPage(): JSX.Element {
  return (
    <Titled title="No such page">
      <p>
        The console has no page at this address. <a href={`${BASE}/`}>Go to its first page.</a>
      </p>
    </Titled>
  );
}
