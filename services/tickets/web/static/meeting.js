// Walks through the meeting: j and k, or the arrow keys, go to the next thing and back. They work while the focus is on
// one of the things only, so that they take no key from anybody else.
(() => {
  const items = () => [...document.querySelectorAll("#meeting .item")];
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

  function go(to) {
    const item = items()[to];
    if (!item) return;
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: "start" });
  }

  document.addEventListener("keydown", (event) => {
    const by = step[event.key];
    const here = event.target.closest?.("#meeting .item");
    if (!by || !here || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(items().indexOf(here) + by);
  });

  const meeting = document.getElementById("meeting");
  if (!items().length) return;
  const walk = document.createElement("p");
  walk.className = "walk";
  walk.innerHTML = '<button type="button" id="walk">Walk through it</button> <span class="small">with <kbd>j</kbd> and <kbd>k</kbd>, or the arrow keys</span>';
  meeting.before(walk);
  document.getElementById("walk").addEventListener("click", () => go(0));
})();
