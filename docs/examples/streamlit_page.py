"""A small page of your own on the package `secondopinion`, with Streamlit.

pip install ./client streamlit && streamlit run docs/examples/streamlit_page.py
The service and its key come from SECONDOPINION_URL and SECONDOPINION_API_KEY. Not a medical device.
"""

import streamlit as st
from secondopinion import Answer, Client, Pipeline, SecondOpinionError


@st.cache_resource
def client() -> Client:
    """One for all visitors: it keeps its connections."""
    return Client()


def show_decision(photo: bytes, pipeline: Pipeline) -> None:
    """Decision, uncertainty and each member's opinion."""
    answer = client().predict_advanced(photo, pipeline=pipeline.name)
    decided, sure, level = st.columns(3)
    decided.metric("Prediction", answer.prediction)
    sure.metric("Confidence", f"{answer.confidence:.1%}")
    level.metric("Uncertainty", answer.uncertainty.level)
    (st.warning if answer.uncertainty.level == "high" else st.info)(
        answer.uncertainty.recommendation
    )
    st.bar_chart({name: member.probabilities for name, member in answer.models.items()})
    show_photo(answer)


def show_findings(photo: bytes, pipeline: Pipeline) -> None:
    """What was found, drawn by the service, and as a table."""
    answer = client().detect(photo, pipeline=pipeline.name, visualization=True)
    if answer.visualization:
        st.image(answer.visualization, caption=f"{len(answer.predictions)} findings")
    st.table(
        [{"class": found.class_name, "score": found.score} for found in answer.predictions]
        or [{"class": "nothing found", "score": None}]
    )
    show_photo(answer)


def show_photo(answer: Answer) -> None:
    """What is to be said about the photo itself."""
    for warning in answer.quality.warnings if answer.quality else ():
        st.warning(warning.detail)
    if answer.input and answer.input.typical is False:
        st.error(answer.input.recommendation)


st.title("Second Opinion")
st.caption("Not a medical device.")
try:
    offered = client().pipelines().pipelines
    chosen = st.selectbox("Ask about", offered, format_func=lambda pipeline: pipeline.title)
    if chosen.weights == "demo":
        st.warning("Demo weights, trained on drawings: their answers mean nothing clinically.")
    for upload in st.file_uploader("Photos", accept_multiple_files=True):
        st.subheader(upload.name)
        (show_findings if chosen.detects else show_decision)(upload.getvalue(), chosen)
except SecondOpinionError as error:
    st.error(str(error))
