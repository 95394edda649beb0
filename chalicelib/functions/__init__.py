"""What the Lambda functions do: an event of AWS → the flows → an answer to AWS.

``app.py`` names them; each module here is one function, loaded by a cold start of it alone.
"""
