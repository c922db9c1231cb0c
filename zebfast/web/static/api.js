// Questions to the server, and the stream of its news.

/** What it answers; throws an Error with its sentence where it refuses. */
export async function ask(path, sent) {
  const options = sent === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(sent),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is zebfast still running?");
  }
  const found = await answer.json().catch(() => ({ error: "The answer cannot be read." }));
  if (!answer.ok) throw new Error(found.error ?? `The server answered ${answer.status}.`);
  return found;
}

/** What a page says that goes on showing what it has. */
export const NO_NEWS = "The server does not answer: what is shown is what it last said.";

/** Why the server refuses a stream, in its words; "" where it does not answer, or refuses no more. */
async function refusal(path) {
  const stop = new AbortController();
  try {
    const answer = await fetch(path, { signal: stop.signal });
    return answer.ok ? "" : (await answer.json()).error ?? "";
  } catch {
    return "";
  } finally {
    stop.abort();
  }
}

/**
 * Call `seen` with every state of `path`, and `lost` when the line goes down or comes back: with null
 * when it is up, why the server refuses it, or "" where it does not answer. A hidden page lets its line
 * go: browsers have only six for one server. Returns what ends it.
 */
export function follow(path, seen, lost = () => {}) {
  let source = null;
  let ended = false;
  let told = null; // to `lost`
  const tell = (why) => {
    if (why === told || ended) return;
    told = why;
    lost(why);
  };
  const open = () => {
    if (ended || source !== null || document.hidden) return;
    const own = new EventSource(path);
    source = own;
    own.onmessage = (event) => {
      tell(null);
      seen(JSON.parse(event.data));
    };
    own.onerror = async () => {
      if (own.readyState !== EventSource.CLOSED) {
        tell("");
        return;
      }
      source = null;
      setTimeout(open, 2000);
      tell(await refusal(path));
    };
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const shown = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", shown);
  open();
  return () => {
    ended = true;
    document.removeEventListener("visibilitychange", shown);
    close();
  };
}
