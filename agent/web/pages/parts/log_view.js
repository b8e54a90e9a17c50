// A log that grows: spans of text with a style made on the server, put into the page as text nodes.
const MAX_LINES = 5000;

export default {
  template: `
    <div class="log-box" :class="{ nowrap: !wraps }">
      <div class="log-lines" ref="lines" role="log" tabindex="0" aria-label="Log of the task" aria-live="off" @scroll.passive="onScroll"></div>
      <div class="log-bar">
        <span>{{ standing }}</span>
        <span class="cut" v-if="dropped">older lines are not shown here; the whole log is among the files</span>
        <span style="margin-left: auto"></span>
        <button type="button" v-if="!follows" @click="toEnd">Jump to the end</button>
        <label><input type="checkbox" v-model="wraps"> Wrap lines</label>
      </div>
    </div>`,
  props: { standing: String },
  data() {
    return { wraps: true, follows: true, dropped: false };
  },
  created() {
    this.open = null;
  },
  methods: {
    append(spans) {
      const box = this.$refs.lines;
      const added = document.createDocumentFragment();
      let line = this.open;
      for (const [text, css] of spans) {
        const parts = text.split("\n");
        parts.forEach((part, number) => {
          if (number > 0) line = null;
          if (!line && (part || number < parts.length - 1)) {
            line = document.createElement("div");
            added.append(line);
          }
          if (!part) return;
          const span = document.createElement("span");
          span.textContent = part;
          if (css) span.style.cssText = css;
          line.append(span);
        });
      }
      this.open = line;
      box.append(added);
      while (box.childElementCount > MAX_LINES) {
        box.firstElementChild.remove();
        this.dropped = true;
      }
      if (this.follows) box.scrollTop = box.scrollHeight;
    },
    clear() {
      this.$refs.lines.replaceChildren();
      this.open = null;
      this.dropped = false;
    },
    onScroll() {
      const box = this.$refs.lines;
      this.follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    },
    toEnd() {
      this.follows = true;
      this.$refs.lines.scrollTop = this.$refs.lines.scrollHeight;
    },
  },
};
