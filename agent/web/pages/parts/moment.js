// A time as a person says it, kept right while the page is open; the exact one is its title.
export default {
  template: `<span class="muted">{{ prefix }}<time :datetime="at" :title="local">{{ shown }}</time></span>`,
  props: { at: String, prefix: String },
  data() {
    return { now: Date.now() };
  },
  computed: {
    shown() {
      return window.aispool.ago(this.at, this.now);
    },
    local() {
      return window.aispool.local(this.at);
    },
  },
  mounted() {
    this.ticking = setInterval(() => (this.now = Date.now()), 5000);
  },
  updated() {
    this.now = Date.now();
  },
  unmounted() {
    clearInterval(this.ticking);
  },
};
