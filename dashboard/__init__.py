"""The dashboard: Streamlit pages over the engine's store. No torch is imported here."""
