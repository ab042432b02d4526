// Streamlit looks for its server by asking every folder above the page; here it is, and what it would answer.
window.__streamlit = {
  BACKEND_BASE_URL: `${location.origin}/`,
  HOST_CONFIG: { allowedOrigins: [location.origin], useExternalAuthToken: false },
};
