"""A page of Streamlit with a heading and nothing else: what any page costs."""

import streamlit as st

st.header("Nothing")
