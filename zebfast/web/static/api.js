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

/**
 * Call `seen` with every state of `path`, and `lost` with whether the line is down. A hidden page lets
 * its line go: browsers have only six for one server. Returns what ends it.
 */
export function follow(path, seen, lost = () => {}) {
  let source = null;
  const open = () => {
    if (source !== null || document.hidden) return;
    source = new EventSource(path);
    source.onmessage = (event) => {
      lost(false);
      seen(JSON.parse(event.data));
    };
    source.onerror = () => {
      lost(true);
      if (source !== null && source.readyState === EventSource.CLOSED) {
        source = null;
        setTimeout(open, 2000);
      }
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
    document.removeEventListener("visibilitychange", shown);
    close();
  };
}
